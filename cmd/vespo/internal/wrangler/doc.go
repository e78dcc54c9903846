// Package wrangler reads the configuration of a Cloudflare Worker, wrangler.toml, wrangler.jsonc or wrangler.json, and
// writes the vespo.json of an equivalent project. It names everything that it does not take over.
package wrangler
