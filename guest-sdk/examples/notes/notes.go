package main

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxNotes     = 100
	maxNoteBytes = 1000
	maxDays      = 365
)

var errFull = errors.New("there are too many notes")

// notes shows the notes of the user.
func (v *visit) notes() error {
	s, u, ok, err := v.signedIn()
	if !ok {
		return err
	}
	v.showNotes(200, s, u, "")
	return nil
}

// add adds a note.
func (v *visit) add() error {
	s, u, ok, err := v.signedIn()
	if !ok {
		return err
	}
	content := strings.TrimSpace(v.form.Get("text"))
	days, err := strconv.Atoi(v.form.Get("days"))
	if err != nil || days < 1 || days > maxDays {
		v.showNotes(422, s, u, "A note is kept for 1 to 365 days.")
		return nil
	}
	if content == "" || len(content) > maxNoteBytes || !utf8.ValidString(content) {
		v.showNotes(422, s, u, "A note has 1 to 1000 bytes of text.")
		return nil
	}
	added := note{ID: rand.Text(), Text: content, Until: v.now.UTC().AddDate(0, 0, days).Truncate(time.Second)}
	err = v.store.update(s.User, func(u *user) error {
		u.removeExpired(v.now)
		if len(u.Notes) >= maxNotes {
			return errFull
		}
		u.Notes = append(u.Notes, added)
		return nil
	})
	if errors.Is(err, errFull) {
		v.showNotes(422, s, u, "You have 100 notes. Delete one first.")
		return nil
	} else if err != nil {
		return err
	}
	v.redirect("/")
	return nil
}

// remove deletes a note. A user can only name notes of their own record.
func (v *visit) remove() error {
	s, _, ok, err := v.signedIn()
	if !ok {
		return err
	}
	id := v.form.Get("id")
	err = v.store.update(s.User, func(u *user) error {
		u.Notes = slices.DeleteFunc(u.Notes, func(n note) bool { return n.ID == id })
		return nil
	})
	if err != nil {
		return err
	}
	v.redirect("/")
	return nil
}

// removeExpired removes notes that are over, and returns their number.
func (u *user) removeExpired(now time.Time) int {
	before := len(u.Notes)
	u.Notes = slices.DeleteFunc(u.Notes, func(n note) bool { return !now.Before(n.Until) })
	return before - len(u.Notes)
}
