package main

import (
	"errors"
	"strings"
	"time"
)

const (
	maxNameBytes     = 32
	minPasswordBytes = 8
	maxPasswordBytes = 200
	maxAttempts      = 5 // wrong passwords in a row before a user has to wait
	attemptWait      = time.Minute
)

var (
	errTaken   = errors.New("the name is taken")
	errTooMany = errors.New("too many attempts")
	errUnknown = errors.New("the name or the password is wrong")
)

// register adds a user and begins a session.
func (v *visit) register() error {
	name, password := v.form.Get("name"), v.form.Get("password")
	switch {
	case !validName(name):
		return v.showForms(422, "A name has 1 to 32 letters (a-z), digits and hyphens.")
	case len(password) < minPasswordBytes || len(password) > maxPasswordBytes:
		return v.showForms(422, "A password has 8 to 200 bytes.")
	}
	hash := hashPassword(password)
	err := v.store.update(name, func(u *user) error {
		if u.exists() {
			return errTaken
		}
		u.Password = hash
		return nil
	})
	if errors.Is(err, errTaken) {
		return v.showForms(409, "This name is taken.")
	} else if err != nil {
		return err
	}
	v.begin(name, 0)
	return nil
}

// login checks the password and begins a session. The attempt is counted before the password is checked, so that
// requests at the same time cannot try more.
func (v *visit) login() error {
	name, password := v.form.Get("name"), v.form.Get("password")
	if !validName(name) || len(password) > maxPasswordBytes {
		return v.showForms(401, "The name or the password is wrong.")
	}
	var hash string
	var epoch int
	err := v.store.update(name, func(u *user) error {
		hash, epoch = u.Password, u.Epoch
		return u.countAttempt(v.now)
	})
	switch {
	case errors.Is(err, errTooMany):
		v.w.Header.Set("retry-after", "60")
		return v.showForms(429, "Too many attempts for this name. Please wait a minute.")
	case err != nil && !errors.Is(err, errUnknown):
		return err
	}
	if !checkPassword(hash, password) {
		return v.showForms(401, "The name or the password is wrong.")
	}
	err = v.store.update(name, func(u *user) error {
		u.Attempts, u.Wait = 0, time.Time{}
		return nil
	})
	if err != nil {
		return err
	}
	v.begin(name, epoch)
	return nil
}

// countAttempt counts a login. It returns errTooMany if the user has to wait and errUnknown if there is no such user.
func (u *user) countAttempt(now time.Time) error {
	switch {
	case !u.exists():
		return errUnknown
	case now.Before(u.Wait):
		return errTooMany
	}
	u.Attempts++
	if u.Attempts >= maxAttempts {
		u.Attempts, u.Wait = 0, now.Add(attemptWait)
	}
	return nil
}

// begin sends the cookie of a new session.
func (v *visit) begin(name string, epoch int) {
	v.setCookie(seal(v.key, newSession(name, epoch, v.now)), sessionAge)
	v.redirect("/")
}

// logout ends all sessions of the user. Deleting the cookie alone would leave a stolen copy of it valid.
func (v *visit) logout() error {
	s, _, ok, err := v.signedIn()
	if !ok {
		return err
	}
	if err := v.store.update(s.User, func(u *user) error { u.Epoch++; return nil }); err != nil {
		return err
	}
	v.setCookie("", 0)
	v.redirect("/login")
	return nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxNameBytes && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
