// Uploads a file: with the access keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in parts when it is large, or with the
// token in MIZUCHI_TOKEN and net/http alone.
//
//	upload [-token] FILE KEY
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const bucket = "uploads"

func main() {
	log.SetFlags(0)
	withToken := flag.Bool("token", false, "send the token in MIZUCHI_TOKEN instead of a signature")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: upload [-token] FILE KEY")
	}
	// Ctrl-C ends the upload, and nothing stays behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	upload := uploadSigned
	if *withToken {
		upload = uploadWithToken
	}
	etag, err := upload(ctx, flag.Arg(0), flag.Arg(1))
	if err != nil {
		log.Fatalf("not uploaded: %v", err)
	}
	fmt.Printf("uploaded %s, ETag %s\n", flag.Arg(0), etag)
}

func proxyURL() string {
	return cmp.Or(os.Getenv("MIZUCHI_URL"), "http://127.0.0.1:8080")
}

func uploadSigned(ctx context.Context, name, key string) (string, error) {
	settings, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion("us-east-1"))
	if err != nil {
		return "", err
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) {
		options.BaseEndpoint = aws.String(proxyURL())
		options.UsePathStyle = true
	})
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()

	// Above 16 MiB in parts of 8 MiB, several at a time.
	uploader := transfermanager.New(client, func(options *transfermanager.Options) {
		options.MultipartUploadThreshold = 16 << 20
		options.PartSizeBytes = 8 << 20
	})
	output, err := uploader.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key), Body: file,
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(output.ETag), nil
}

func uploadWithToken(ctx context.Context, name, key string) (string, error) {
	token := os.Getenv("MIZUCHI_TOKEN")
	if token == "" {
		return "", errors.New("MIZUCHI_TOKEN is not set")
	}
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return "", err
	}
	base, err := url.Parse(proxyURL())
	if err != nil {
		return "", err
	}
	// The path is encoded where that is needed.
	base.Path = "/" + bucket + "/" + key
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, base.String(), file)
	if err != nil {
		return "", err
	}
	// Without it net/http would send the file chunked, as it knows the length of few readers.
	request.ContentLength = status.Size()
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/octet-stream")

	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		return "", fmt.Errorf("%s: %s", answer.Status, text)
	}
	return answer.Header.Get("ETag"), nil
}
