package remote

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/kv/kvlines"
)

// manyLines returns lines of about 2.5 pieces, all of one length.
func manyLines() []byte {
	var b bytes.Buffer
	value := strings.Repeat("v", 1000)
	for n := 0; b.Len() < pieceBytes*5/2; n++ {
		fmt.Fprintf(&b, "{\"key\":\"k%06d\",\"value\":%q}\n", n, value)
	}
	return b.Bytes()
}

// importInto imports lines into a server that stores as many pieces as it is given answers for, and then does last.
func importInto(t *testing.T, lines []byte, stored int, last http.HandlerFunc) (out string, took [][]byte, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece, err := io.ReadAll(r.Body)
		if err != nil || len(took) >= stored {
			last(w, r)
			return
		}
		took = append(took, piece)
		fmt.Fprintf(w, `{"store":"s","state":"imported","keys":%d,"expired":1}`, bytes.Count(piece, []byte("\n"))-1)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "lines")
	require.NoError(t, os.WriteFile(file, lines, 0o600))
	c := KVImportCmd{storeArg: storeArg{"s"}, File: file}
	c.Server, c.Format = server.URL, "text"
	var to bytes.Buffer
	err = c.Run(t.Context(), stdio.Streams{Out: &to, Err: io.Discard})
	return to.String(), took, err
}

func TestImportInPieces(t *testing.T) {
	lines := manyLines()
	out, took, err := importInto(t, lines, 3, nil)
	require.NoError(t, err)
	require.Len(t, took, 3)
	require.Equal(t, lines, bytes.Join(took, nil))
	require.True(t, bytes.HasSuffix(took[0], []byte("\n")))
	count := bytes.Count(lines, []byte("\n"))
	require.Equal(t, fmt.Sprintf("imported %d keys into s, left out 3 that have expired\n", count-3), out)
	_, took, err = importInto(t, nil, 1, nil)
	require.NoError(t, err)
	require.Len(t, took, 1)
}

func TestImportThatFails(t *testing.T) {
	lines := manyLines()
	_, took, err := importInto(t, lines, 3, nil)
	require.NoError(t, err)
	first, second := bytes.Count(took[0], []byte("\n")), bytes.Count(took[1], []byte("\n"))

	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	_, _, err = importInto(t, lines, 1, hangUp)
	require.ErrorContains(t, err, "the import is incomplete: http://127.0.0.1:")
	require.ErrorContains(t, err, fmt.Sprintf("\n%d keys of lines 1 to %d are stored; lines %d to %d may be stored, or a part of them; "+
		"run the import again: keys that are there already are overwritten", first-1, first, first+1, first+second))
	_, _, err = importInto(t, lines, 0, hangUp)
	require.ErrorContains(t, err, fmt.Sprintf("\nlines 1 to %d may be stored, or a part of them; run", first))

	refusal := func(status int, detail string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"title":"t","detail":%q}`, detail)
		}
	}
	_, _, err = importInto(t, lines, 1, refusal(400, "line 5: is bad; 3 keys of the lines before were written"))
	require.EqualError(t, err, fmt.Sprintf("line %d: is bad\n%d keys of the lines before are stored; correct the line, and %s", first+5, first+2, again))
	_, _, err = importInto(t, lines, 0, refusal(400, "store is \"S\""))
	require.EqualError(t, err, `store is "S"`)
	_, _, err = importInto(t, nil, 0, hangUp)
	require.ErrorContains(t, err, "; nothing is stored")
	_, _, err = importInto(t, lines, 1, refusal(403, "no"))
	require.EqualError(t, err, fmt.Sprintf("the import is incomplete: no\n%d keys of lines 1 to %d are stored; %s", first-1, first, again))
}

func TestInterruptedImport(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot interrupt itself")
	}
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	_, _, err = importInto(t, manyLines(), 1, func(_ http.ResponseWriter, r *http.Request) {
		if self.Signal(os.Interrupt) == nil {
			<-r.Context().Done()
		}
	})
	require.ErrorContains(t, err, "the import is incomplete: interrupt")
	require.ErrorContains(t, err, "may be stored, or a part of them; run the import again")
}

// TestLineWithoutEnd checks that a line which is too long is not read to its end.
func TestLineWithoutEnd(t *testing.T) {
	in := bufio.NewReader(strings.NewReader(strings.Repeat("x", pieceBytes+kvlines.MaxLineBytes+1<<20)))
	piece, err := nextPiece(in)
	require.NoError(t, err)
	require.Greater(t, len(piece), kvlines.MaxLineBytes)
	require.Less(t, len(piece), pieceBytes+kvlines.MaxLineBytes+1<<20)
}
