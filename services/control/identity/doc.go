// Package identity describes the senders of management requests: principals with scopes. Package tokens makes principals of tokens.
//
// A scope is written as one of
//
//	read            see everything but secrets and the content of key-value stores
//	deploy:PATTERN  change the services that the pattern covers, and see them
//	follow          read, and copy the catalogue with its modules and secrets
//	admin           everything
//
// A pattern is a route key whose prefix may end in "/*". "/team-a" covers the service at this prefix. "/team-a/*" covers
// that one too, and all services below it. "/*" covers all services. A pattern without a match covers keys with any match.
// One with a match, such as "/* Host: team-a.example.com", covers keys whose match has the same header and a value that
// begins the same way.
//
// The package has no state.
package identity
