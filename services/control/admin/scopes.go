package admin

import (
	"maps"
	"net/http"
	"net/url"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// need is what a path of the API needs of its caller. The query of a request names its service by prefix and match.
type need int

const (
	needUnset   need = iota // treated like needAdmin; a test refuses it
	needNothing             // open to all clients
	needCaller              // any scope
	needOwn                 // read, or a deploy scope: the handler leaves out the services that mayRead refuses
	needOne                 // read, or a deploy scope that covers the service of the query; without a service in the query, read
	needRead                // read: what concerns the server, or all services
	needFollow              // follow: the catalogue with secrets
	needDeploy              // a deploy scope that covers the service of the query
	needBody                // a deploy scope; the handler calls mayDeploy when it knows the service
	needAdmin               // admin
)

// needs is the one table of what each path needs. A path without a line here needs admin.
func needs() map[string]need {
	table := map[string]need{
		"/services/health": needNothing,
		"/services/ready":  needNothing,
		"/services/whoami": needCaller,

		"/services":          needOwn,
		"/services/":         needOwn,
		"/services/list":     needOwn,
		"/services/stats":    needOwn,
		"/services/logs":     needOwn,
		"/services/usage":    needOwn,
		"/services/inspect":  needOne,
		"/services/versions": needOne,
		"/services/diff":     needOne,

		"/services/add":      needBody,
		"/services/remove":   needDeploy,
		"/services/split":    needDeploy,
		"/services/rollback": needDeploy,
		"/services/trigger":  needDeploy,

		"/services/cache/purge": needDeploy,

		"/services/blob":      needFollow,
		"/services/catalogue": needFollow,

		"/services/audit":         needAdmin,
		"/services/hosts/drain":   needAdmin,
		"/services/hosts/undrain": needAdmin,
		"/services/tokens":        needAdmin,
		"/services/tokens/create": needAdmin,
		"/services/tokens/revoke": needAdmin,

		// Stores belong to no prefix: services anywhere can share one. Their content is the users' data.
		"/services/kv":        needRead,
		"/services/metrics":   needRead,
		"/services/hosts":     needRead,
		"/services/kv/list":   needAdmin,
		"/services/kv/get":    needAdmin,
		"/services/kv/export": needAdmin,
		"/services/kv/import": needAdmin,
		"/services/kv/delete": needAdmin,
	}
	maps.Copy(table, ownNeeds())
	return table
}

// text describes a need for refusals.
func (n need) text(key routekey.Key) string {
	switch n {
	case needOwn:
		return "read, or a deploy scope"
	case needOne:
		if key.IsZero() {
			return "read, as the request names no service"
		}
		return "read, or deploy:" + key.String()
	case needRead:
		return identity.Read().String()
	case needFollow:
		return identity.Follow().String() + ", as the catalogue has secrets"
	case needDeploy:
		if key.IsZero() {
			return "a deploy scope"
		}
		return "deploy:" + key.String()
	case needBody:
		return "a deploy scope"
	}
	return identity.Admin().String()
}

// authorise returns a problem unless the caller has what the path needs.
func authorise(r *http.Request, n need) error {
	caller := identity.Of(r.Context()).Scopes
	if caller.Admin() || n == needNothing {
		return nil
	}
	var key routekey.Key
	var err error
	ok := false
	switch n {
	case needCaller:
		ok = len(caller) > 0
	case needOwn:
		ok = caller.ReadAll() || caller.DeploySome()
	case needRead:
		ok = caller.ReadAll()
	case needFollow:
		ok = caller.Follow()
	case needBody:
		ok = caller.DeploySome()
	case needOne:
		if ok = caller.ReadAll(); !ok && caller.DeploySome() && r.URL.Query().Has(fields.Prefix) {
			key, err = queryKey(r)
			ok = caller.Deploy(key)
		}
	case needDeploy:
		if caller.DeploySome() {
			key, err = queryKey(r)
			ok = caller.Deploy(key)
		}
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return beyond(r, n.text(key))
	}
	return nil
}

// queryKey returns the service that the query names. It reads the query as handlers do. With an error, the key is zero.
func queryKey(r *http.Request) (routekey.Key, error) {
	in := fields.New(fields.KeyFields()...)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return routekey.Key{}, queryFields(r).Err()
	}
	for _, name := range [...]string{fields.Prefix, fields.Match} {
		for _, value := range query[name] {
			in.Add(name, value)
		}
	}
	key := in.Key()
	if err := in.Err(); err != nil {
		return routekey.Key{}, err
	}
	return key, nil
}

// mayDeploy returns a problem unless the caller may change the service.
func mayDeploy(r *http.Request, key routekey.Key) error {
	if identity.Of(r.Context()).Scopes.Deploy(key) {
		return nil
	}
	return beyond(r, needDeploy.text(key))
}

// mayRead reports whether the caller may see the service.
func mayRead(r *http.Request, key routekey.Key) bool {
	return identity.Of(r.Context()).Scopes.Read(key)
}

// beyond is the problem of a caller whose scopes do not suffice.
func beyond(r *http.Request, needed string) error {
	caller := identity.Of(r.Context())
	return problem.Newf(problem.Forbidden, "the %s has the scopes %s, and this request needs %s", caller, caller.Scopes, needed)
}
