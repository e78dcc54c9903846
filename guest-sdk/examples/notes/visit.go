package main

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

const (
	maxFormBytes   = 16 << 10
	minSecretBytes = 32
)

var (
	errFormSize = errors.New("this form is too large")
	errForm     = errors.New("this form cannot be read")
)

// visit is one request, with what the handlers need.
type visit struct {
	w     *guest.Response
	r     *guest.Request
	now   time.Time
	base  string // the prefix, without a slash at its end
	key   []byte
	job   string // the job token
	store store
	form  url.Values
}

// newVisit reads the settings. It does so in each request: secrets that are read in an init function would be in the
// snapshot. It returns the name of a setting that is missing, if there is one.
func newVisit(w *guest.Response, r *guest.Request) (v *visit, missing string) {
	secrets := map[string]string{}
	for _, name := range []string{"key", "store-token", "job-token"} {
		value, _ := vespo.Config(name)
		if len(value) < minSecretBytes {
			return nil, name
		}
		secrets[name] = value
	}
	address, ok := vespo.Config("store")
	if !ok {
		return nil, "store"
	}
	return &visit{
		w:     w,
		r:     r,
		now:   time.Now(),
		base:  strings.TrimSuffix(vespo.Prefix(), "/"),
		key:   []byte(secrets["key"]),
		job:   secrets["job-token"],
		store: store{url: strings.TrimSuffix(address, "/"), token: secrets["store-token"]},
	}, ""
}

// readForm reads the body of a POST.
func (v *visit) readForm() error {
	body, err := io.ReadAll(io.LimitReader(v.r, maxFormBytes+1))
	if err != nil || len(body) > maxFormBytes {
		return errFormSize
	}
	if v.form, err = url.ParseQuery(string(body)); err != nil {
		return errForm
	}
	return nil
}

// redirect makes the client GET another page of this service.
func (v *visit) redirect(path string) {
	v.w.Header.Set("location", v.base+path)
	v.w.SetStatus(303)
}

// setSecurityHeaders limits what a browser does with every response: no script runs, no other site can show the page in
// a frame, forms go to this site only, and no cache keeps the page.
func setSecurityHeaders(w *guest.Response) {
	w.Header.Set("content-security-policy",
		"default-src 'none'; style-src "+styleHash+"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.Header.Set("x-content-type-options", "nosniff")
	w.Header.Set("referrer-policy", "same-origin")
	w.Header.Set("cache-control", "no-store")
}

// crossSite reports whether a browser sends the request for a page of another site. Programs that are no browsers send
// neither Sec-Fetch-Site nor Origin, and cannot be made to send another user's cookies.
func crossSite(fetchSite, origin, host string) bool {
	switch fetchSite {
	case "same-origin", "none":
		return false
	case "": // an old browser, or none
		_, from, _ := strings.Cut(origin, "://")
		return origin != "" && !strings.EqualFold(from, host)
	}
	return true
}
