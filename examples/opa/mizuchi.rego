# Who may upload what. The rule `allow` is what the proxy asks for: POST /v1/data/mizuchi/allow.
package mizuchi

import rego.v1

# The first that holds decides. A boolean would do as well; an object can say why, and set bounds.
default allow := {"allow": false, "reason": "no rule allows it"}

allow := {"allow": false, "reason": "blocked"} if {
	input.subject in data.blocked
} else := {"allow": true} if {
	is_admin
} else := {"allow": true, "key_prefix": home} if {
	startswith(input.resource.key, home)
} else := {
	"allow": true,
	"key_prefix": concat("", [team, "/"]),
	"max_object_size": data.teams[team].max_object_size,
	"allowed_content_types": data.teams[team].content_types,
} if {
	input.action == "upload"
	from_office_if_scanner
} else := {"allow": true} if {
	input.action in {"abort", "list_parts"}
	input.subject in data.teams[team].leads
}

is_admin if "admin" in input.principal.claims.roles

# Everybody has a folder. Not `/home/` and nothing behind it: a subject with a slash could reach into another's.
home := concat("", ["home/", input.subject, "/"]) if {
	regex.match(`^[A-Za-z0-9_.@-]+$`, input.subject)
	not input.subject in {".", ".."}
}

# The team in whose folder the key lies, if the sender is one of it: by the token's groups, or by the access key.
team := name if {
	name := split(input.resource.key, "/")[0]
	data.teams[name]
	is_member(name)
}

is_member(name) if name in input.principal.claims.groups

is_member(name) if data.scanners[input.principal.access_key_id] == name

# Scanners stand in the office; their keys are worth nothing elsewhere.
from_office_if_scanner if input.principal.kind != "sigv4"

from_office_if_scanner if {
	some network in data.office
	net.cidr_contains(network, input.context.client_ip)
}
