package main

import (
	"crypto/hmac"
	"errors"
	"strconv"
	"strings"
)

// maxSweep is the number of users in one run of the job. A request may make 32 outbound calls: one lists the users, and
// each user with expired notes takes two.
const maxSweep = 10

// sweep removes the expired notes of the next users. A timer of the system calls it; the field "after" is the last key
// of the previous run. The response is the number of removed notes and, unless this was the last run, the next key.
func (v *visit) sweep() error {
	scheme, token, _ := strings.Cut(v.r.Header.Get("authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !hmac.Equal([]byte(token), []byte(v.job)) {
		v.w.Header.Set("www-authenticate", "Bearer")
		v.w.Text(401, "the job token is needed\n")
		return nil
	}
	items, err := v.store.users(v.form.Get("after"), maxSweep)
	if err != nil {
		return err
	}
	removed := 0
	for _, item := range items {
		if item.Value.removeExpired(v.now) == 0 {
			continue
		}
		n, err := v.sweepUser(strings.TrimPrefix(item.Key, userKey))
		if err != nil {
			return err
		}
		removed += n
	}
	report := "removed " + strconv.Itoa(removed) + "\n"
	if len(items) == maxSweep {
		report += "after " + items[len(items)-1].Key + "\n"
	}
	v.w.Text(200, report)
	return nil
}

// sweepUser removes the expired notes of one user. It tries once: if the record changes at the same time, the next run
// of the job does it.
func (v *visit) sweepUser(name string) (removed int, err error) {
	u, version, err := v.store.user(name)
	if err != nil {
		return 0, err
	}
	removed = u.removeExpired(v.now)
	err = v.store.put(userKey+name, u, version)
	if errors.Is(err, errConflict) {
		return 0, nil
	}
	return removed, err
}
