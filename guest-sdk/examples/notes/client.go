package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

const (
	maxRecordBytes = 256 << 10
	maxTries       = 5 // of one change; each takes two of the 32 outbound calls of a request
)

var (
	errConflict = errors.New("another request has changed the record")
	errStore    = errors.New("the store failed")
)

// user is the record of a user in the store.
type user struct {
	Password string    `json:"password"` // see hashPassword
	Epoch    int       `json:"epoch"`    // the number of the user's logouts; each ends the sessions before it
	Attempts int       `json:"attempts"` // logins since the last good one
	Wait     time.Time `json:"wait"`     // no login before
	Notes    []note    `json:"notes"`
}

type note struct {
	ID    string    `json:"id"`
	Text  string    `json:"text"`
	Until time.Time `json:"until"`
}

// exists reports whether the record is in the store.
func (u *user) exists() bool { return u.Password != "" }

// store is the client of the program in the directory store.
type store struct{ url, token string }

const userKey = "user:"

// user returns a record and its version. If the user does not exist, the record is empty and the version is "".
func (s store) user(name string) (u user, version string, err error) {
	answer, err := s.call("GET", "/keys/"+userKey+url.PathEscape(name), nil)
	if err != nil {
		return u, "", err
	}
	defer answer.Close()
	if answer.Status == 404 {
		return u, "", nil
	}
	return u, answer.Get("etag"), decode(answer, &u)
}

// put writes a record unless it has another version in the store by now. Then it returns errConflict.
func (s store) put(key string, record any, version string) error {
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	condition := [2]string{"if-match", version}
	if version == "" {
		condition = [2]string{"if-none-match", "*"}
	}
	answer, err := s.call("PUT", "/keys/"+url.PathEscape(key), body, condition)
	if err != nil {
		return err
	}
	defer answer.Close()
	switch answer.Status {
	case 204:
		return nil
	case 412:
		return errConflict
	}
	return fmt.Errorf("%w: PUT %s: status %d", errStore, key, answer.Status)
}

// update changes the record of a user. If another request changes it at the same time, it begins again with the new
// record. change may return an error to leave the record as it is.
func (s store) update(name string, change func(*user) error) error {
	for range maxTries {
		u, version, err := s.user(name)
		if err != nil {
			return err
		}
		if err := change(&u); err != nil {
			return err
		}
		if err := s.put(userKey+name, u, version); !errors.Is(err, errConflict) {
			return err
		}
	}
	return errConflict
}

// item is an entry of the store's list.
type item struct {
	Key     string `json:"key"`
	Version string `json:"version"`
	Value   user   `json:"value"`
}

// users returns at most n users whose keys come after the given one.
func (s store) users(after string, n int) (items []item, err error) {
	query := url.Values{"prefix": {userKey}, "after": {after}, "limit": {strconv.Itoa(n)}}
	answer, err := s.call("GET", "/keys?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return items, decode(answer, &items)
}

func (s store) call(method, path string, body []byte, fields ...[2]string) (*vespo.Answer, error) {
	call := &vespo.Call{Method: method, URI: s.url + path, Header: append(fields, [2]string{"authorization", "Bearer " + s.token})}
	if body != nil {
		call.Body = strings.NewReader(string(body))
	}
	return vespo.Fetch(call)
}

func decode(answer *vespo.Answer, to any) error {
	body, err := io.ReadAll(io.LimitReader(answer, maxRecordBytes*maxSweep))
	if err != nil {
		return err
	}
	if answer.Status != 200 {
		return fmt.Errorf("%w: status %d", errStore, answer.Status)
	}
	return json.Unmarshal(body, to)
}
