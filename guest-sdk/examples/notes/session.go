package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

const (
	// cookieName begins with __Secure-, so that browsers refuse to let pages without TLS set the cookie.
	cookieName = "__Secure-notes"
	// sessionAge is the time after which a user must sign in again.
	sessionAge = 12 * time.Hour
)

// session is the content of the cookie. It is signed and not encrypted: users can read their own.
type session struct {
	User  string `json:"user"`
	Epoch int    `json:"epoch"` // the user's epoch at the login; see user.Epoch
	ID    string `json:"id"`    // random
	Until int64  `json:"until"` // seconds since 1970
}

func newSession(user string, epoch int, now time.Time) session {
	return session{User: user, Epoch: epoch, ID: rand.Text(), Until: now.Add(sessionAge).Unix()}
}

var encoding = base64.RawURLEncoding.Strict()

// sign returns a code that only holders of the key can make. The purpose prevents that a code for one purpose is
// accepted for another.
func sign(key []byte, purpose, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + "\x00" + text))
	return encoding.EncodeToString(mac.Sum(nil))
}

// signed reports whether code is the result of sign. It compares in constant time.
func signed(key []byte, purpose, text, code string) bool {
	return hmac.Equal([]byte(code), []byte(sign(key, purpose, text)))
}

// seal encodes a session with its signature: CONTENT.SIGNATURE.
func seal(key []byte, s session) string {
	content, err := json.Marshal(s)
	if err != nil {
		panic(err) // impossible: strings and numbers can always be encoded
	}
	text := encoding.EncodeToString(content)
	return text + "." + sign(key, "session", text)
}

// unseal decodes the result of seal. The signature is checked before the content is parsed. ok is false if the session
// is forged or over.
func unseal(key []byte, sealed string, now time.Time) (s session, ok bool) {
	text, code, _ := strings.Cut(sealed, ".")
	if !signed(key, "session", text, code) {
		return session{}, false
	}
	content, err := encoding.DecodeString(text)
	if err != nil || json.Unmarshal(content, &s) != nil {
		return session{}, false
	}
	return s, now.Unix() < s.Until
}

// formToken returns the token in the forms of a session. A page of another site cannot read it, so it cannot send a form
// that has it.
func (v *visit) formToken(s session) string { return sign(v.key, "form", s.ID) }

// cookie returns the value of the session's cookie in the request, or "".
func (v *visit) cookie() string {
	for _, field := range v.r.Header.Values("cookie") {
		for _, pair := range strings.Split(field, ";") {
			if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); name == cookieName {
				return value
			}
		}
	}
	return ""
}

// setCookie sends the cookie. Scripts cannot read it, and other sites' forms do not send it. The path keeps it from the
// other services of this host.
func (v *visit) setCookie(value string, age time.Duration) {
	v.w.Header.Set("set-cookie", cookieName+"="+value+"; Path="+v.base+"/; Max-Age="+strconv.Itoa(int(age.Seconds()))+
		"; HttpOnly; Secure; SameSite=Lax")
}

// signedIn returns the session and the record of its user. If the client is not signed in, it redirects to the login and
// returns ok false. A POST must have the session's form token.
func (v *visit) signedIn() (s session, u user, ok bool, err error) {
	s, ok = unseal(v.key, v.cookie(), v.now)
	if ok {
		u, _, err = v.store.user(s.User)
		ok = err == nil && u.exists() && u.Epoch == s.Epoch
	}
	switch {
	case err != nil:
		return s, u, false, err
	case !ok:
		v.redirect("/login")
	case v.form != nil && !signed(v.key, "form", s.ID, v.form.Get("token")):
		v.w.Text(403, "this form is not from here: reload the page\n")
		return s, u, false, nil
	}
	return s, u, ok, nil
}
