// Uploads one file with the AWS SDK for Go v2, in the way that is asked for. The argument is JSON: see ../../definitions/libraries.ts.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

type job struct {
	Way, File, Bucket, Key, ContentType string
	Metadata                            map[string]string
}

// Hides that the file can seek and how long it is.
type stream struct{ io.Reader }

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	var job job
	if err := json.Unmarshal([]byte(os.Args[1]), &job); err != nil {
		return err
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) { options.UsePathStyle = true })
	file, err := os.Open(job.File)
	if err != nil {
		return err
	}
	defer file.Close()
	input := &s3.PutObjectInput{
		Bucket: &job.Bucket, Key: &job.Key, ContentType: &job.ContentType, Metadata: job.Metadata, Body: file,
	}
	switch job.Way {
	case "PutObject":
		_, err = client.PutObject(ctx, input)
	case "manager.Uploader":
		input.Body = stream{file}
		_, err = manager.NewUploader(client).Upload(ctx, input)
	case "transfermanager":
		_, err = transfermanager.New(client).UploadObject(ctx, &transfermanager.UploadObjectInput{
			Bucket: &job.Bucket, Key: &job.Key, ContentType: &job.ContentType, Metadata: job.Metadata, Body: stream{file},
		})
	case "presigned PutObject":
		err = putPresigned(ctx, client, input, file)
	case "GetObject":
		_, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: &job.Bucket, Key: &job.Key})
	default:
		err = fmt.Errorf("no such way: %s", job.Way)
	}
	return err
}

func putPresigned(ctx context.Context, client *s3.Client, input *s3.PutObjectInput, file *os.File) error {
	status, err := file.Stat()
	if err != nil {
		return err
	}
	input.Body = nil
	input.ContentLength = aws.Int64(status.Size())
	signed, err := s3.NewPresignClient(client).PresignPutObject(ctx, input)
	if err != nil {
		return err
	}
	var body io.Reader = file
	if status.Size() == 0 {
		body = http.NoBody
	}
	request, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, body)
	if err != nil {
		return err
	}
	request.Header = signed.SignedHeader
	request.Header.Set("Content-Type", *input.ContentType)
	request.ContentLength = status.Size()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}
