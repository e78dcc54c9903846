package prack

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// TestClients runs one worker at a time, modelled on one of Prack's clients, with concurrent requests.
func TestClients(t *testing.T) {
	for _, c := range []struct{ name, program, file string }{
		{"Node", "node", "client.js"}, {"Ruby", "ruby", "client.rb"}, {"PHP", "php", "client.php"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := exec.LookPath(c.program)
			if err != nil {
				t.Skipf("%s is not installed; its messages are tried by TestMessages", c.name)
			}
			s := serve(t, nil)
			s.work(path, filepath.Join("testdata", c.file))
			client := &http.Client{Timeout: program.HangTimeout}
			var all sync.WaitGroup
			for n := range 20 {
				all.Go(func() {
					path := fmt.Sprintf("/x/%d?y=%%20", n)
					status, header, body := s.ask(client, "GET", "/jobs"+path, "")
					if status != 200 || header.Get("Content-Type") != "text/html" || !strings.HasPrefix(body, "Hello from "+c.name+": GET "+path) {
						t.Error(status, header, body)
					}
				})
			}
			all.Wait()
		})
	}
}

// TestMessages sends the messages of the Ruby and the PHP client. It covers machines without Ruby or PHP.
func TestMessages(t *testing.T) {
	s := serve(t, nil)
	for file, contentType := range map[string]string{
		"php_message.json": "application/x-www-form-urlencoded", "ruby_message.json": "application/json",
	} {
		message, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		answered := make(chan string)
		go func() {
			status, header, body := s.ask(&http.Client{Timeout: program.HangTimeout}, "GET", "/jobs", "")
			answered <- fmt.Sprint(status, " ", header.Get("Content-Type"), " ", body)
		}()
		resp, err := http.Get(s.workers)
		require.NoError(t, err)
		var taken struct{ Identifier string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&taken))
		require.NoError(t, resp.Body.Close())
		said, err := http.Post(s.workers, contentType, strings.NewReader(strings.Replace(string(message), "IDENTIFIER", taken.Identifier, 1)))
		require.NoError(t, err)
		text, err := io.ReadAll(said.Body)
		require.NoError(t, err)
		require.NoError(t, said.Body.Close())
		require.JSONEq(t, `{"message":"thank you"}`, string(text))
		require.Equal(t, "200 text/html Hello", <-answered, file)
	}
}

// TestKilledWorkers queues 10,000 requests, or as many as the limit of open files allows, before the first of 8 worker processes
// starts. Two of them are killed at random. Each request gets its own answer, or 504
// if it must not be processed twice. There are at most as many 504s as killed workers.
func TestKilledWorkers(t *testing.T) {
	requests := waitable(t, 10_000)
	if testing.Short() {
		requests = 1000
	}
	var all sync.WaitGroup
	t.Cleanup(all.Wait) // after the server has stopped, which ends the requests of a failed test
	s := serve(t, []string{"--max-connections", fmt.Sprint(2 * requests), "--per-client", "100%"}, "--lease", "3s", "--depth", fmt.Sprint(requests), "--timeout", "5m")
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true) // requests share connections
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	t.Cleanup(client.CloseIdleConnections)
	ended := make(chan struct{}, requests)
	var answered, late atomic.Int64
	const batch = 250 // the client dials for each request that finds no connection with room
	for n := range requests {
		all.Go(func() {
			method, path, body := []string{"GET", "POST"}[n%2], fmt.Sprintf("/%d", n), fmt.Sprint("body of ", n)
			if method == "GET" {
				body = ""
			}
			status, _, text := s.ask(client, method, "/jobs"+path, body)
			switch {
			case status == 200 && text == path+" "+body:
				answered.Add(1)
			case status == 504 && method == "POST":
				late.Add(1)
			default:
				t.Error(method, path, status, text)
			}
			ended <- struct{}{}
		})
		if (n+1)%batch == 0 {
			s.awaitWaiting(n + 1)
		}
	}
	s.awaitWaiting(requests)
	s.killTwo(requests, ended)
	all.Wait()
	require.EqualValues(t, requests, answered.Load()+late.Load())
	require.LessOrEqual(t, late.Load(), int64(2))
	t.Logf("%d answered, %d times 504", answered.Load(), late.Load())
}

// waitable returns the number of requests, at most n, that a queue can hold here. Requests in queues may
// take half of --max-connections, which the server lowers if it may not open as many files.
func waitable(t *testing.T, n int) int {
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	return int(min(uint64(n), uint64(limit.Max)/4*3/2)) // three quarters of the files are for connections
}

// killTwo starts the workers and kills two of them, each after a random number of requests has ended.
func (s *server) killTwo(requests int, ended <-chan struct{}) {
	s.T.Helper()
	var workers []*program.Process
	for n := range 8 {
		delay := "0s"
		if n < 2 { // slow victims nearly always hold a request when they die
			delay = "10ms"
		}
		workers = append(workers, s.work(built.worker, s.workers, delay))
	}
	for _, victim := range workers[:2] {
		for range 1 + rand.IntN(requests/3) {
			<-ended
		}
		victim.Kill()
	}
}
