package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// trafficked is a server with its address.
type trafficked struct {
	*testing.T
	url string
}

// trafficServer runs a server on a data directory until the end of the test.
func trafficServer(t *testing.T, data string) trafficked {
	cfg, err := parse(t, "--listen=127.0.0.1:0", "--slots=4", "--memory=16MiB", "--data="+data)
	require.NoError(t, err)
	_, url := listening(t, cfg)
	return trafficked{t, url}
}

// add deploys a module by its name.
func (s trafficked) add(module, query string) string {
	s.Helper()
	code, err := os.ReadFile(filepath.Join("../../../../testdata/guests/wat", module+".wasm"))
	require.NoError(s, err)
	resp, err := http.Post(s.url+"/services/add?prefix=a&"+query, "application/wasm", bytes.NewReader(code))
	require.NoError(s, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())
	return string(body)
}

// versionsAnswer is the part of an answer that the tests read.
type versionsAnswer struct {
	Current uint64
	Canary  struct {
		State, Reason   string
		Trial, Baseline struct{ Requests, Errors uint64 }
	}
	Mirror struct {
		Compared, Different, Dropped uint64
		Examples                     []string
	}
	Versions []struct {
		Number           uint64
		Weight           float64
		Requests, Errors uint64
	}
}

func (s trafficked) versions() (v versionsAnswer) {
	s.Helper()
	resp, err := http.Get(s.url + "/services/versions?prefix=a")
	require.NoError(s, err)
	defer resp.Body.Close()
	require.NoError(s, json.NewDecoder(resp.Body).Decode(&v))
	return v
}

// get returns the status of a request.
func (s trafficked) get(path string) int {
	resp, err := http.Get(s.url + path)
	require.NoError(s, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())
	return resp.StatusCode
}

// A canary whose requests fail is rolled back under load. The requests of the other version go on.
func TestCanaryWithAFaultIsRolledBackUnderLoad(t *testing.T) {
	s := trafficServer(t, t.TempDir())
	s.add("hello", "")
	require.Contains(t, s.add("tinypanic", "canary=10%25&canary_for=1h&canary_requests=20"), `"staged":2`)
	stop := make(chan struct{})
	var mu sync.Mutex
	answers := map[int]int{}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := http.Get(s.url + "/a")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				mu.Lock()
				answers[resp.StatusCode]++
				mu.Unlock()
			}
		})
	}
	require.Eventually(t, func() bool { return s.versions().Canary.State != "running" }, time.Minute, 50*time.Millisecond)
	v := s.versions()
	require.Equal(t, "rolled back", v.Canary.State, v.Canary.Reason)
	require.Contains(t, v.Canary.Reason, "errors: 100% of ")
	require.EqualValues(t, 1, v.Current)
	mu.Lock()
	clear(answers)
	mu.Unlock()
	before := s.versions().Versions[1].Requests
	require.Eventually(t, func() bool { return s.versions().Versions[1].Requests > before+200 }, time.Minute, 10*time.Millisecond)
	close(stop)
	clients.Wait()
	require.Greater(t, answers[http.StatusOK], 100)
	require.LessOrEqual(t, answers[http.StatusInternalServerError], 4, "requests that were in flight at the end of the canary")
	t.Logf("%s; then %v", v.Canary.Reason, answers)
}

// A canary, its split and its clock survive a restart.
func TestCanarySurvivesARestart(t *testing.T) {
	data := t.TempDir()
	t.Run("before", func(t *testing.T) {
		s := trafficServer(t, data)
		s.add("hello", "")
		s.add("echo", "canary=50%25&canary_for=2s&canary_requests=10")
		require.Equal(t, "running", s.versions().Canary.State)
	})
	s := trafficServer(t, data)
	require.Eventually(t, func() bool { return s.get("/services/ready") == http.StatusOK }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		s.get("/a")
		return s.versions().Canary.State != "running"
	}, time.Minute, time.Millisecond)
	v := s.versions()
	require.Equal(t, "promoted", v.Canary.State, v.Canary.Reason)
	require.EqualValues(t, 2, v.Current)
}

// Responses of a mirror are compared and dropped. One that fails harms no request.
func TestMirrorComparesAndDrops(t *testing.T) {
	s := trafficServer(t, t.TempDir())
	s.add("hello", "")
	s.add("tinypanic", "mirror=100%25")
	for range 20 {
		require.Equal(t, http.StatusOK, s.get("/a/path?secret=1"))
	}
	require.Eventually(t, func() bool { m := s.versions().Mirror; return m.Compared+m.Dropped == 20 && m.Compared > 0 }, time.Minute, 10*time.Millisecond)
	m := s.versions().Mirror
	require.Equal(t, m.Compared, m.Different)
	require.Equal(t, "GET /a/path: status 200 -> the version failed", m.Examples[0])
	require.LessOrEqual(t, len(m.Examples), 5)

	s.add("hello", "mirror=100%25&timeout=3s&message=the+same") // another version that answers the same
	require.Equal(t, http.StatusOK, s.get("/a"))
	require.Eventually(t, func() bool { m := s.versions().Mirror; return m.Compared+m.Dropped == 1 }, time.Minute, 10*time.Millisecond)
	require.Zero(t, s.versions().Mirror.Different)

	resp, err := http.Post(s.url+"/services/rollback?prefix=a", "", nil) // ends it
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.EqualValues(t, 1, s.versions().Current)
	require.Zero(t, s.versions().Mirror)
	require.Contains(t, s.add("hello", "canary=5%25&mirror=5%25"), "give one of them")
}
