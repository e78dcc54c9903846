package lambda

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/stretchr/testify/require"
)

// leftOut returns the names that docs/operations.md allows a backup to leave out.
func leftOut(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	sentence := regexp.MustCompile(`For a backup, [^#]*You can leave out ([^.]*)\.`).FindSubmatch(text)
	require.NotNil(t, sentence)
	for _, name := range regexp.MustCompile("`([^`]+)/`").FindAllSubmatch(sentence[1], -1) {
		names = append(names, string(name[1]))
	}
	require.NotEmpty(t, names)
	return names
}

// TestBackup follows the documented steps, from a data directory with a relative path to another directory.
func TestBackup(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	old := t.TempDir()
	data, err := filepath.Rel(here, old)
	require.NoError(t, err)
	arguments := []string{"--lambda-listen", "127.0.0.1:0", "--lambda-manage", "--allow-exec", "--worker-listen", "127.0.0.1:0"}
	s := serve(t, append(arguments, "--data", data)...)
	c := client(s.lambdaURL(), secret)
	ctx := t.Context()
	first := create("prog", workerZip(t))
	first.Publish = true
	_, err = c.CreateFunction(ctx, first)
	require.NoError(t, err)
	_, err = c.CreateAlias(ctx, &sdk.CreateAliasInput{FunctionName: aws.String("prog"), Name: aws.String("prod"), FunctionVersion: aws.String("1")})
	require.NoError(t, err)
	_, err = c.CreateFunction(ctx, create("module", pack(t, map[string][]byte{"function.wasm": moduleFile(t)})))
	require.NoError(t, err)
	s.Vespo("add", "jobs", "--queue", "--durable")
	accepted := s.do("POST", "/jobs?async=1", "a job")
	require.Equal(t, http.StatusAccepted, accepted.StatusCode)
	check := func() {
		for _, qualifier := range []string{"", "1", "prod"} {
			in := &sdk.InvokeInput{FunctionName: aws.String("prog"), Payload: []byte(`{"a":1}`)}
			if qualifier != "" {
				in.Qualifier = aws.String(qualifier)
			}
			out, err := c.Invoke(ctx, in)
			require.NoError(t, err)
			require.Nil(t, out.FunctionError, "%s", out.Payload)
			require.JSONEq(t, `{"a":1}`, string(out.Payload))
		}
		require.Equal(t, `"hello /module"`, s.do("GET", "/module/env", "").body)
		require.Equal(t, "pending", s.do("GET", accepted.Header.Get("Location"), "").Header.Get("Vespo-Result"))
	}
	check()
	s.Stop(syscall.SIGTERM)

	restored := t.TempDir()
	require.NoError(t, os.CopyFS(restored, os.DirFS(old)))
	for _, name := range leftOut(t) {
		require.NoError(t, os.RemoveAll(filepath.Join(restored, name)))
	}
	require.NoError(t, os.RemoveAll(old))
	s = serve(t, append(arguments, "--data", restored)...)
	c = client(s.lambdaURL(), secret)
	check()
}
