package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

// workerCommand implements "worker SERVER PREFIX [BODY]". It starts a worker that
// answers one request of a queue, with BODY or with an invalid message. It asks the
// management API for the queue, and sets $WORKERS to the URL of the workers' listener.
func workerCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: worker SERVER PREFIX [BODY]")
	}
	resp, err := http.Get(args[0] + "/services/inspect?prefix=" + args[1])
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	m := regexp.MustCompile(`"workers at ((http://[^/]+)[^ ]+) \(`).FindSubmatch(text)
	if m == nil {
		ts.Fatalf("no queue: %s", text)
	}
	ts.Setenv("WORKERS", string(m[2]))
	message := map[string]any{"code": 200, "headers": map[string]string{"Content-Type": "text/plain"}}
	if len(args) == 3 {
		message["body"] = []byte(args[2])
	} else {
		message["code"] = 999
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		answerOne(ctx, string(m[1]), message)
	}()
	ts.Defer(func() {
		cancel()
		<-ended
	})
}

// answerOne polls until there is a request, and answers it. Errors show in the client's response.
func answerOne(ctx context.Context, url string, message map[string]any) {
	for ctx.Err() == nil {
		status, text := exchange(ctx, http.MethodGet, url, nil)
		if status != http.StatusOK {
			continue
		}
		var taken struct{ Identifier string }
		if json.Unmarshal(text, &taken) != nil {
			return
		}
		message["identifier"] = taken.Identifier
		body, err := json.Marshal(message)
		if err == nil {
			exchange(ctx, http.MethodPost, url, body)
		}
		return
	}
}

func exchange(ctx context.Context, method, url string, body []byte) (status int, text []byte) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Append(nil, err)
	}
	return resp.StatusCode, text
}
