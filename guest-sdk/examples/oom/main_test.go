package main

import (
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestOOM(t *testing.T) {
	for _, test := range []struct {
		uri    string
		status int
		body   string
		kept   int
	}{
		{"/10", 200, "successfully allocated 10kb of memory\n", 10 << 10},
		{"/oom/0?x=1", 200, "successfully allocated 0kb of memory\n", 0},
		{"/oom", 400, "", 0}, {"/oom/", 400, "", 0}, {"/oom/-1", 400, "", 0}, {"/oom/4194304", 400, "", 0},
		{"/oom/99999999999999999999", 400, "", 0},
	} {
		kept = nil // in Vespo, the snapshot does this
		answer := guesttest.Serve(&guesttest.Request{URI: test.uri})
		if answer.Status != test.status || test.body != "" && answer.Body != test.body || len(kept) != test.kept {
			t.Errorf("%s: %d bytes kept, %+v", test.uri, len(kept), answer)
		}
	}
}
