# opa test examples/opa
package mizuchi_test

import rego.v1

import data.mizuchi

question(claims, action, key) := {
	"subject": claims.sub,
	"principal": {"kind": "jwt", "subject": claims.sub, "claims": claims},
	"action": action,
	"resource": {"bucket": "uploads", "key": key, "backend_bucket": "uploads"},
	"context": {"operation": "PutObject", "method": "PUT", "client_ip": "203.0.113.9", "metadata": {}},
}

scan(address, key) := {
	"subject": "scanner",
	"principal": {"kind": "sigv4", "subject": "scanner", "access_key_id": "AKIDSCANNER"},
	"action": "upload",
	"resource": {"bucket": "uploads", "key": key, "backend_bucket": "uploads"},
	"context": {"operation": "PutObject", "method": "PUT", "client_ip": address, "metadata": {}},
}

actions := ["upload", "abort", "list_parts"]

test_everybody_has_a_folder if {
	every action in actions {
		decision := mizuchi.allow with input as question({"sub": "ben"}, action, "home/ben/a.txt")
		decision == {"allow": true, "key_prefix": "home/ben/"}
	}
}

test_and_nobody_that_of_another if {
	every subject in ["be", "bennie", "", "ben/x", "..", "."] {
		every action in actions {
			decision := mizuchi.allow with input as question({"sub": subject}, action, "home/ben/x/a.txt")
			not decision.allow
		}
	}
}

test_a_team_uploads_within_bounds if {
	decision := mizuchi.allow with input as question({"sub": "ada", "groups": ["press"]}, "upload", "press/2026/a.png")
	decision == {
		"allow": true,
		"key_prefix": "press/",
		"max_object_size": 104857600,
		"allowed_content_types": ["image/*", "application/pdf"],
	}
}

test_and_into_its_own_folder_only if {
	every key in ["video/a.mp4", "pressx/a.png", "a.png", "home/press/a.png"] {
		decision := mizuchi.allow with input as question({"sub": "ada", "groups": ["press"]}, "upload", key)
		not decision.allow
	}
}

test_a_group_that_is_no_team_is_nothing if {
	decision := mizuchi.allow with input as question({"sub": "ada", "groups": ["sales"]}, "upload", "sales/a.png")
	not decision.allow
}

test_leads_abort_and_list if {
	every action in ["abort", "list_parts"] {
		lead := mizuchi.allow with input as question({"sub": "dora", "groups": ["press"]}, action, "press/a.png")
		lead.allow
		member := mizuchi.allow with input as question({"sub": "ada", "groups": ["press"]}, action, "press/a.png")
		not member.allow
		stranger := mizuchi.allow with input as question({"sub": "dora", "groups": []}, action, "press/a.png")
		not stranger.allow
	}
}

test_admins_do_all if {
	every action in actions {
		decision := mizuchi.allow with input as question({"sub": "root", "roles": ["admin"]}, action, "anything")
		decision == {"allow": true}
	}
}

test_unless_they_are_blocked if {
	decision := mizuchi.allow with input as question({"sub": "mallory", "roles": ["admin"]}, "upload", "anything")
	decision == {"allow": false, "reason": "blocked"}
}

test_scanners_work_in_the_office if {
	inside := mizuchi.allow with input as scan("192.0.2.7", "press/a.pdf")
	inside.allow
	outside := mizuchi.allow with input as scan("203.0.113.9", "press/a.pdf")
	not outside.allow
	elsewhere := mizuchi.allow with input as scan("192.0.2.7", "video/a.mp4")
	not elsewhere.allow
}

test_nobody_does_nothing if {
	decision := mizuchi.allow with input as {
		"principal": {"kind": "anonymous"},
		"action": "upload",
		"resource": {"bucket": "uploads", "key": "home//a", "backend_bucket": "uploads"},
		"context": {"operation": "PutObject", "method": "PUT", "client_ip": "192.0.2.1", "metadata": {}},
	}
	not decision.allow
}
