package wasm_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// versions are the names of the programs for both versions of WASI.
var versions = []string{"wasi2", "wasi3"}

// TestHostileGuests runs guests that break the rules: their request alone fails, and the next one finds the initial state.
func TestHostileGuests(t *testing.T) {
	for _, version := range versions {
		s := newServer(t, wasm.Config{Slots: 1})
		s.add("/", program(t, version), servicetest.WithTimeout(10*time.Second))
		for word, want := range map[string]struct {
			kind problem.Kind // "" if the guest succeeds
			only string       // the version that the program is for
		}{
			"leak":    {},
			"foreign": {kind: problem.Trap},
			"other":   {kind: problem.Trap},
			"again":   {kind: problem.Trap},
			"nothing": {kind: problem.Trap},
			"unknown": {kind: problem.Trap},
			"silent":  {kind: problem.BadGateway, only: "wasi2"},
			"twice":   {kind: problem.Trap, only: "wasi2"},
		} {
			if want.only != "" && want.only != version {
				continue // the guest of runtime/abi/wasihttp3 does this
			}
			t.Run(version+" "+word, func(t *testing.T) {
				for range 3 {
					a := s.do("GET", "/"+word, "", "Upstream: example.com")
					if want.kind == "" {
						require.Equal(t, []string{"0"}, a.Header.Values("Number"), a.Body)
					} else {
						a.RequireProblem(t, want.kind)
					}
					require.Equal(t, []string{"0"}, s.get("/fresh").Header.Values("Number"), "the next request finds the initial state")
				}
			})
		}
		require.Equal(t, 0, s.InFlight())
	}
}

// TestGuestsWhoseClientLeaves ends guests that wait for a server, and their requests to it, when the client has gone.
func TestGuestsWhoseClientLeaves(t *testing.T) {
	called, ended := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	defer upstream.Close()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			s := newServer(t, wasm.Config{Slots: 1})
			s.add("/", program(t, version), servicetest.WithAllow(upstream.URL), servicetest.WithTimeout(time.Minute))
			ctx, leave := context.WithCancel(t.Context())
			r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/get", nil)
			require.NoError(t, err)
			r.Header.Set("Upstream", strings.TrimPrefix(upstream.URL, "http://"))
			failed := make(chan error, 1)
			go func() {
				res, err := s.Client().Do(r)
				if err == nil {
					res.Body.Close()
				}
				failed <- err
			}()
			<-called
			leave()
			require.Error(t, <-failed)
			<-ended
			require.Equal(t, []string{"0"}, s.get("/fresh").Header.Values("Number"), "the only slot is free again")
		})
	}
}

// TestBrokenComponents deploys components that are cut off or changed. Each is served or refused with the reason.
func TestBrokenComponents(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1})
	deploy := func(bin []byte) {
		_, err := s.Add(t.Context(), module("/broken", bin))
		if err == nil {
			s.Withdraw("/broken")
			return
		}
		p := problem.From(err)
		require.Equal(t, problem.ModuleInvalid, p.Kind(), "%v", err)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status)
		require.NotEmpty(t, p.Detail+strings.Join(problem.Texts(p.Violations), ""))
		require.NotContains(t, p.Error(), "panic")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, version := range versions {
		whole := program(t, version)
		for n := range 40 {
			cut := whole[:len(whole)*n/40]
			require.Error(t, s.refused("/broken", cut))
			deploy(cut)
		}
		for range 80 {
			changed := bytes.Clone(whole)
			for range 1 + random.IntN(3) {
				changed[8+random.IntN(len(whole)-8)] = byte(random.Uint32())
			}
			deploy(changed)
		}
	}
}
