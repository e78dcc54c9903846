package oci

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	defaultMaxBytes  = 64 << 20
	maxManifestBytes = 1 << 20
	maxRedirects     = 5
)

// Credential is what a registry asks for. The zero Credential is none.
type Credential struct {
	Username string
	Password string
	Refresh  string // an identity token, in place of both
	Access   string // a registry token, in place of all
}

// Client pulls and pushes. The zero fields take their defaults. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client // required; its redirects are limited here
	// Credential returns the credentials for a registry, a host and a port. Nil: there are none. The text of its errors is for
	// the person who named the reference.
	Credential func(ctx context.Context, registry string) (Credential, error)
	MaxBytes   int64 // of a module; default 64 MiB
}

func (c *Client) maxBytes() int64 { return cmp.Or(c.MaxBytes, defaultMaxBytes) }

// repository returns the repository of a reference.
func (c *Client) repository(ctx context.Context, ref Reference) (*remote.Repository, error) {
	repo, err := remote.NewRepository(ref.registry + "/" + ref.repository)
	if err != nil {
		return nil, explain(err, ref)
	}
	inner := *c.HTTP
	inner.CheckRedirect = checkRedirect(ref)
	client := &auth.Client{Client: &inner, Cache: auth.NewCache(), ClientID: "vespo"}
	client.SetUserAgent("vespo")
	if c.Credential != nil {
		client.Credential = func(ctx context.Context, registry string) (auth.Credential, error) {
			own, err := c.Credential(ctx, registry)
			if err != nil {
				return auth.Credential{}, failed(ErrDenied, ref, "needs credentials: %s", err)
			}
			return auth.Credential{Username: own.Username, Password: own.Password, RefreshToken: own.Refresh, AccessToken: own.Access}, nil
		}
	}
	if ref.loopback() {
		// A registry on this machine has its token service here, too, and often no certificate.
		client.BlockedRealmPrefixes = []netip.Prefix{}
		repo.PlainHTTP = c.plain(ctx, &inner, ref)
	}
	repo.Client = client
	repo.MaxMetadataBytes = maxManifestBytes
	repo.SkipReferrersGC = true
	return repo, nil
}

// plain reports whether the registry speaks HTTP in place of HTTPS. Only those on this machine are asked, as docker does.
func (c *Client) plain(ctx context.Context, client *http.Client, ref Reference) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+ref.registry+"/v2/", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// checkRedirect limits redirects, and refuses those from https to http.
func checkRedirect(ref Reference) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return failed(ErrUnavailable, ref, "redirects more than %d times", maxRedirects)
		case r.URL.Scheme != "https" && r.URL.Scheme != "http":
			return failed(ErrUnavailable, ref, "redirects to an address that is not fetched")
		case via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https":
			return failed(ErrUnavailable, ref, "redirects from https to http")
		}
		r.Header.Del("Referer") // it may have a signature in its query
		return nil
	}
}
