package admin

import (
	"cmp"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/control/tokens"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields of requests for tokens.
const (
	fieldName    = "name"
	fieldScope   = "scope"
	fieldExpires = "expires"
)

// tokenView is the answer to create and revoke.
type tokenView struct {
	tokens.Info
	Token string `json:"token,omitempty"` // create only
	State string `json:"state"`
}

// tokenRoutes returns the endpoints of tokens.
func (h *Handler) tokenRoutes(reads, changes limiter) map[string]endpoint {
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	return map[string]endpoint{
		"/services/tokens":        {methods: get, limiter: reads, serve: h.tokenList},
		"/services/tokens/create": {methods: post, limiter: changes, serve: h.tokenCreate},
		"/services/tokens/revoke": {methods: post, limiter: changes, serve: h.tokenRevoke},
	}
}

// tokenStore returns the tokens, or a problem.
func (h *Handler) tokenStore() (*tokens.Store, error) {
	if s := h.cfg.Authority.Store(); s != nil {
		return s, nil
	}
	return nil, problem.New(problem.NotFound, "this server keeps no tokens")
}

func (h *Handler) tokenList(w http.ResponseWriter, r *http.Request) error {
	store, err := h.tokenStore()
	if err != nil {
		return err
	}
	if err := bodilessFields(r).Err(); err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, struct {
		Tokens []tokens.Info `json:"tokens"`
	}{store.List()})
}

// tokenCreate makes a token. Its answer is the only one that has the token itself.
func (h *Handler) tokenCreate(w http.ResponseWriter, r *http.Request) error {
	store, err := h.tokenStore()
	if err != nil {
		return err
	}
	in := bodilessFields(r,
		schema.Field{Name: fieldName, Type: schema.Text},
		schema.Field{Name: fieldScope, Type: schema.Texts},
		schema.Field{Name: fieldExpires, Type: schema.Text})
	request := tokens.Request{Name: in.Text(fieldName), By: identity.Of(r.Context()).String()}
	if request.Scopes, err = identity.ParseScopes(in.Texts(fieldScope)); err != nil {
		in.Violate(fieldScope, "is refused: %s", err)
	}
	if request.Expires, err = tokens.ParseExpiry(cmp.Or(in.Text(fieldExpires), tokens.DefaultExpiry), time.Now()); err != nil {
		in.Violate(fieldExpires, "%s", err)
	}
	if err := in.Err(); err != nil {
		return err
	}
	var token string
	var info tokens.Info
	err = h.audited(r, request.Name, func() (err error) {
		token, info, err = store.Create(request)
		return err
	})
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusCreated, tokenView{Info: info, Token: token, State: "created"})
}

// tokenRevoke ends a token.
func (h *Handler) tokenRevoke(w http.ResponseWriter, r *http.Request) error {
	store, err := h.tokenStore()
	if err != nil {
		return err
	}
	in := bodilessFields(r, schema.Field{Name: fieldName, Type: schema.Text})
	in.Missing(fieldName, "name the token")
	if err := in.Err(); err != nil {
		return err
	}
	var info tokens.Info
	err = h.audited(r, in.Text(fieldName), func() (err error) {
		info, err = store.Revoke(in.Text(fieldName))
		return err
	})
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, tokenView{Info: info, State: "revoked"})
}
