package wasm_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	_ "image/jpeg" // for DecodeConfig
	"image/png"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestOOMHarmsNobodyElse is nea's example: requests that need too much memory are
// answered with 500, and neither the next request nor another service is affected.
func TestOOMHarmsNobodyElse(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/oom", guests.SDK(t, "oom"), servicetest.WithMemory(4<<20))
	s.add("/alloc", guests.SDK(t, "varying-allocations"))
	for range 3 {
		for _, kilobytes := range []string{"1000", "100000", "3000000", "4194303"} {
			a := s.get("/oom/" + kilobytes)
			require.Equal(t, 500, a.StatusCode, a.Body)
			require.Contains(t, a.Body, "problems/out-of-memory")
			require.Contains(t, a.Body, "Out of Memory")
			require.Equal(t, 200, s.get("/oom/10").StatusCode)
			require.Equal(t, 200, s.get("/alloc/50").StatusCode)
		}
	}
}

// TestFormAcrossRequests fills in the example's form. Each response comes from a guest
// without memory of the previous request.
func TestFormAcrossRequests(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	module := guests.SDK(t, "state-machine-html")
	s.add("/report", module, servicetest.WithConfig(map[string]string{"key": "0123456789abcdef"}))
	s.add("/other", module, servicetest.WithConfig(map[string]string{"key": "fedcba9876543210"}))
	s.add("/none", module)
	state := regexp.MustCompile(`name="state" value="([^"]+)"`)
	form := func(path, page, answer string) servicetest.Answer {
		found := state.FindStringSubmatch(page)
		require.NotNil(t, found, page)
		return s.do("POST", path, url.Values{"action": {"next"}, "answer": {answer}, "state": {found[1]}}.Encode(),
			"Content-Type: application/x-www-form-urlencoded")
	}
	a := s.get("/report")
	require.NotEqual(t, a.Body, s.get("/report").Body, "each form has a number of its own")
	for _, answer := range []string{"ground", "deep", "me@example.com", ""} {
		require.Equal(t, 400, form("/other", a.Body, answer).StatusCode, "signed by another key")
		a = form("/report", a.Body, answer)
		require.Equal(t, 200, a.StatusCode, a.Body)
	}
	require.Contains(t, a.Body, "Your report has the number ")
	require.Equal(t, 503, s.get("/none").StatusCode)
}

// TestPicturesFitIntoMemory resizes the largest pictures that the example accepts,
// with the server's default memory.
func TestPicturesFitIntoMemory(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/resize", guests.SDK(t, "image-resize"))
	progressive, err := os.ReadFile(filepath.Join(sdkExamples, "image-resize/testdata/progressive.jpg"))
	require.NoError(t, err)
	deep := image.NewNRGBA64(image.Rect(0, 0, 1024, 512))
	for y := range 512 {
		for x := range 1024 {
			deep.Set(x, y, color.NRGBA64{R: uint16(x * 60), G: uint16(y * 60), A: 60_000})
		}
	}
	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, deep))
	for format, picture := range map[string]string{"jpeg": string(progressive), "png": file.String()} {
		a := s.do("POST", "/resize?width=1000&height=100", picture)
		require.Equal(t, 200, a.StatusCode, a.Body)
		config, got, err := image.DecodeConfig(strings.NewReader(a.Body))
		require.NoError(t, err)
		require.Equal(t, format, got)
		require.Equal(t, image.Pt(200, 100), image.Pt(config.Width, config.Height))
	}
	require.Equal(t, 413, s.do("POST", "/resize?width=9", strings.Repeat("x", 2<<20)).StatusCode)
}

// TestPointsFitIntoMemory draws the maximum number of points that the example accepts.
func TestPointsFitIntoMemory(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/plot", guests.SDK(t, "csv-svg-path"))
	const line = "-0.123456789,123456.789\n"
	a := s.do("POST", "/plot", strings.Repeat(line, 100_000))
	require.Equal(t, 200, a.StatusCode, a.Body)
	require.Equal(t, 99_999, strings.Count(a.Body, "L-0.123456789 123456.789"))
	require.Equal(t, 413, s.do("POST", "/plot", strings.Repeat(line, 100_001)).StatusCode)
}

// TestMiddlewareInAGuest checks that the authorization of one request does not apply to the next.
func TestMiddlewareInAGuest(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1})
	s.add("/auth", guests.SDK(t, "auth"), servicetest.WithConfig(map[string]string{"token.alice": "a", "token.admin": "b"}))
	for range 3 {
		require.Equal(t, 200, s.do("GET", "/auth/admin", "", "Authorization: Bearer admin:b").StatusCode)
		require.Equal(t, 403, s.do("GET", "/auth/admin", "", "Authorization: Bearer alice:a").StatusCode)
		require.Equal(t, 401, s.get("/auth/admin").StatusCode)
	}
}

// TestOneProgramTwoServers runs the CGI example natively behind Go's CGI server, and
// as a guest of this server. The responses must be equal.
func TestOneProgramTwoServers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "degrees")
	build := exec.Command("go", "build", "-o", program, "main.go")
	build.Dir = filepath.Join(rawExamples, "cgi")
	msg, err := build.CombinedOutput()
	require.NoError(t, err, "%s", msg)
	native := httptest.NewServer(&cgi.Handler{Path: program, Root: "/degrees"})
	defer native.Close()
	s := newServer(t, wasm.Config{Slots: 2})
	module := exampleModule(t, build.Dir, "cgi.wasm", "GOOS=wasip1 GOARCH=wasm go build -o cgi.wasm main.go")
	s.add("/degrees", module)
	const form = "application/x-www-form-urlencoded"
	for _, c := range [][4]string{
		{"GET", "/degrees", "", ""}, {"GET", "/degrees/a%20b?c=%22d%22", "", ""}, {"POST", "/degrees", "celsius=36.6", form},
		{"POST", "/degrees", "celsius=%3Cscript%3E", form}, {"POST", "/degrees/", "celsius=%zz", form},
		{"POST", "/degrees", "celsius=1", "text/plain"}, {"DELETE", "/degrees", "", ""},
	} {
		want := s.Do(servicetest.NewRequest(t, c[0], native.URL+c[1], strings.NewReader(c[2]), "Content-Type: "+c[3]))
		got := s.do(c[0], c[1], c[2], "Content-Type: "+c[3])
		require.Equal(t, want.StatusCode, got.StatusCode, "%v", c)
		require.Equal(t, want.Body, got.Body, "%v", c)
		for _, name := range []string{"Content-Type", "Allow", "X-Content-Type-Options"} {
			require.Equal(t, want.Header.Values(name), got.Header.Values(name), "%v", c)
		}
	}
}

// TestRawGuestsStream sends more than their memory holds to the guests in C and Rust.
func TestRawGuestsStream(t *testing.T) {
	body := strings.Repeat("all wasps\n", 500_000)
	for dir, c := range map[string]struct{ file, build, want string }{
		"c":    {"wc.wasm", "clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -Wl,-z,stack-size=16384 -o wc.wasm main.c", "500000 1000000 5000000\n"},
		"rust": {"crc32.wasm", "cargo build --release --target wasm32-wasip1", fmt.Sprintf("%08x\n", crc32.ChecksumIEEE([]byte(body)))},
	} {
		t.Run(dir, func(t *testing.T) {
			module := exampleModule(t, filepath.Join(rawExamples, dir), c.file, c.build)
			s := newServer(t, wasm.Config{Slots: 2, SlotBytes: 2 << 20})
			s.add("/raw", module)
			for range 3 {
				a := s.do("POST", "/raw", body)
				require.Equal(t, http.StatusOK, a.StatusCode, a.Body)
				require.Equal(t, c.want, a.Body)
			}
		})
	}
}
