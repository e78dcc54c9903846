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
	"testing"

	"github.com/stretchr/testify/require"
)

// TestClients has one worker at a time, written after one of Prack's, and requests one by one and together.
func TestClients(t *testing.T) {
	for _, c := range []struct{ name, program, file string }{
		{"Node", "node", "client.js"}, {"Ruby", "ruby", "client.rb"}, {"PHP", "php", "client.php"},
	} {
		t.Run(c.name, func(t *testing.T) {
			program, err := exec.LookPath(c.program)
			if err != nil {
				t.Skipf("%s is not installed; its messages are tried by TestMessages", c.name)
			}
			s := serve(t)
			s.work(program, filepath.Join("testdata", c.file))
			client := &http.Client{Timeout: hangTimeout}
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

// TestMessages sends the messages of the Ruby and the PHP client, as these make them, for where there is no Ruby or PHP.
func TestMessages(t *testing.T) {
	s := serve(t)
	for file, contentType := range map[string]string{
		"php_message.json": "application/x-www-form-urlencoded", "ruby_message.json": "application/json",
	} {
		message, err := os.ReadFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		answered := make(chan string)
		go func() {
			status, header, body := s.ask(&http.Client{Timeout: hangTimeout}, "GET", "/jobs", "")
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

// TestKilledWorkers sends 10,000 requests to 8 processes, of which two are killed at random. Each request is answered with its own answer, or
// by a 504 if it must not be done twice; of these there are no more than workers that were killed.
func TestKilledWorkers(t *testing.T) {
	requests, clients := 10_000, 100
	if testing.Short() {
		requests = 1000
	}
	s := serve(t, "--lease", "1s", "--depth", "200", "--timeout", "30s")
	var workers []*process
	for n := range 8 {
		delay := "0s"
		if n < 2 { // the victims are slow, so that they nearly always die with a request in hand
			delay = "10ms"
		}
		workers = append(workers, s.work(built.worker, s.workers, delay))
	}
	client := &http.Client{Timeout: 2 * hangTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	var asked, answered, late atomic.Int64
	deaths := map[int64]*process{int64(requests/10 + rand.IntN(requests/4)): workers[0], int64(requests/2 + rand.IntN(requests/4)): workers[1]}
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n := range requests / clients {
				if victim := deaths[asked.Add(1)]; victim != nil {
					victim.kill()
				}
				method, path, body := []string{"GET", "POST"}[n%2], fmt.Sprintf("/%d-%d", c, n), fmt.Sprint("body of ", c, n)
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
			}
		})
	}
	all.Wait()
	require.EqualValues(t, requests, answered.Load()+late.Load())
	require.LessOrEqual(t, late.Load(), int64(2))
	t.Logf("%d answered, %d times 504", answered.Load(), late.Load())
}
