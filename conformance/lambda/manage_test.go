package lambda

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// pack returns an archive of files by name.
func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// moduleFile builds the module of a function.
func moduleFile(t *testing.T) []byte {
	t.Helper()
	name := t.TempDir() + "/function.wasm"
	cmd := exec.Command("go", "build", "-o", name, "./testdata/guests/src/gofunction")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	module, err := os.ReadFile(name)
	require.NoError(t, err)
	return module
}

func workerZip(t *testing.T) []byte {
	t.Helper()
	program, err := os.ReadFile(built.bootstrap)
	require.NoError(t, err)
	return pack(t, map[string][]byte{"bootstrap": program, "data/file.txt": []byte("data")})
}

func create(name string, archive []byte) *sdk.CreateFunctionInput {
	return &sdk.CreateFunctionInput{
		FunctionName: aws.String(name),
		Role:         aws.String("arn:aws:iam::000000000000:role/any"),
		Handler:      aws.String("bootstrap"),
		Runtime:      types.RuntimeProvidedal2023,
		Code:         &types.FunctionCode{ZipFile: archive},
		Timeout:      aws.Int32(7),
		MemorySize:   aws.Int32(16),
		Environment:  &types.Environment{Variables: map[string]string{"GREETING": "hello"}},
		Description:  aws.String("what it is"),
	}
}

func TestManageModule(t *testing.T) {
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--lambda-manage")
	c := client(s.lambdaURL(), secret)
	ctx := t.Context()
	module := moduleFile(t)
	made, err := c.CreateFunction(ctx, create("fn", pack(t, map[string][]byte{"function.wasm": module})))
	require.NoError(t, err)
	require.Equal(t, types.StateActive, made.State)
	require.Equal(t, "$LATEST", *made.Version)
	require.EqualValues(t, 7, *made.Timeout)
	require.EqualValues(t, 16, *made.MemorySize)
	require.EqualValues(t, len(module), made.CodeSize)
	require.NoError(t, sdk.NewFunctionActiveV2Waiter(c).Wait(ctx, &sdk.GetFunctionInput{FunctionName: aws.String("fn")}, program.HangTimeout))
	require.NoError(t, sdk.NewFunctionUpdatedV2Waiter(c).Wait(ctx, &sdk.GetFunctionInput{FunctionName: aws.String("fn")}, program.HangTimeout))
	require.Equal(t, `"hello /fn"`, s.do("GET", "/fn/env", "").body)
	var conflict *types.ResourceConflictException
	_, err = c.CreateFunction(ctx, create("fn", pack(t, map[string][]byte{"function.wasm": module})))
	require.ErrorAs(t, err, &conflict)

	got, err := c.GetFunction(ctx, &sdk.GetFunctionInput{FunctionName: made.FunctionArn})
	require.NoError(t, err)
	require.Equal(t, *made.RevisionId, *got.Configuration.RevisionId)
	require.Equal(t, "what it is", *got.Configuration.Description)
	all, err := c.ListFunctions(ctx, &sdk.ListFunctionsInput{})
	require.NoError(t, err)
	require.Len(t, all.Functions, 1)

	changed, err := c.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("fn"),
		RevisionId:   made.RevisionId,
		Environment:  &types.Environment{Variables: map[string]string{"GREETING": "good bye"}},
	})
	require.NoError(t, err)
	require.NotEqual(t, *made.RevisionId, *changed.RevisionId)
	require.Equal(t, `"good bye /fn"`, s.do("GET", "/fn/env", "").body)
	var precondition *types.PreconditionFailedException
	_, err = c.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("fn"), RevisionId: made.RevisionId})
	require.ErrorAs(t, err, &precondition)
}

func TestVersionsAndAliases(t *testing.T) {
	data := t.TempDir()
	arguments := []string{"--lambda-listen", "127.0.0.1:0", "--lambda-manage", "--data", data}
	s := serve(t, arguments...)
	c := client(s.lambdaURL(), secret)
	ctx := t.Context()
	module := moduleFile(t)
	first := create("fn", pack(t, map[string][]byte{"function.wasm": module}))
	first.Publish = true
	one, err := c.CreateFunction(ctx, first)
	require.NoError(t, err)
	require.Equal(t, "1", *one.Version)
	_, err = c.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("fn"),
		Environment: &types.Environment{Variables: map[string]string{"GREETING": "good bye"}}})
	require.NoError(t, err)
	two, err := c.UpdateFunctionCode(ctx, &sdk.UpdateFunctionCodeInput{
		FunctionName: aws.String("fn"),
		Publish:      true,
		ZipFile:      pack(t, map[string][]byte{"other.wasm": module}),
	})
	require.NoError(t, err)
	require.Equal(t, "2", *two.Version)

	greet := func(qualifier string) (output, version string) {
		out, err := c.Invoke(ctx, &sdk.InvokeInput{FunctionName: aws.String("fn"), Qualifier: aws.String(qualifier), Payload: []byte(`{"rawPath":"/env"}`)})
		require.NoError(t, err)
		return string(out.Payload), *out.ExecutedVersion
	}
	output, version := greet("1")
	require.Equal(t, []string{`"hello /fn~1"`, "1"}, []string{output, version}, "a version is as it was when it was published")
	output, _ = greet("2")
	require.Equal(t, `"good bye /fn~2"`, output)

	_, err = c.CreateAlias(ctx, &sdk.CreateAliasInput{FunctionName: aws.String("fn"), Name: aws.String("prod"), FunctionVersion: aws.String("1")})
	require.NoError(t, err)
	_, version = greet("prod")
	require.Equal(t, "1", version)
	_, err = c.UpdateAlias(ctx, &sdk.UpdateAliasInput{
		FunctionName:  aws.String("fn"),
		Name:          aws.String("prod"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.5}},
	})
	require.NoError(t, err)
	versions := map[string]int{}
	for range 100 {
		_, version = greet("prod")
		versions[version]++
	}
	require.Len(t, versions, 2, "by weight")
	var conflict *types.ResourceConflictException
	_, err = c.DeleteFunction(ctx, &sdk.DeleteFunctionInput{FunctionName: aws.String("fn"), Qualifier: aws.String("2")})
	require.ErrorAs(t, err, &conflict, "an alias leads to it")
	var missing *types.ResourceNotFoundException
	_, err = c.CreateAlias(ctx, &sdk.CreateAliasInput{FunctionName: aws.String("fn"), Name: aws.String("bad"), FunctionVersion: aws.String("9")})
	require.ErrorAs(t, err, &missing)

	s.Stop(os.Kill)
	s = serve(t, arguments...)
	c = client(s.lambdaURL(), secret)
	aliases, err := c.ListAliases(ctx, &sdk.ListAliasesInput{FunctionName: aws.String("fn")})
	require.NoError(t, err)
	require.Len(t, aliases.Aliases, 1)
	require.Equal(t, map[string]float64{"2": 0.5}, aliases.Aliases[0].RoutingConfig.AdditionalVersionWeights)
	listed, err := c.ListVersionsByFunction(ctx, &sdk.ListVersionsByFunctionInput{FunctionName: aws.String("fn")})
	require.NoError(t, err)
	require.Len(t, listed.Versions, 3)
	_, err = c.DeleteFunction(ctx, &sdk.DeleteFunctionInput{FunctionName: aws.String("fn")})
	require.NoError(t, err)
	_, err = c.GetFunction(ctx, &sdk.GetFunctionInput{FunctionName: aws.String("fn")})
	require.ErrorAs(t, err, &missing)
	require.Equal(t, 404, s.do("GET", "/fn~1", "").StatusCode, "its versions are gone too")
}

func TestManageProgram(t *testing.T) {
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--lambda-manage", "--allow-exec")
	c := client(s.lambdaURL(), secret)
	_, err := c.CreateFunction(t.Context(), create("fn", workerZip(t)))
	require.NoError(t, err)
	out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn"), Payload: []byte(`{"a":1}`)})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1}`, string(out.Payload))

	url, err := c.CreateFunctionUrlConfig(t.Context(), &sdk.CreateFunctionUrlConfigInput{FunctionName: aws.String("fn"), AuthType: types.FunctionUrlAuthTypeNone})
	require.NoError(t, err)
	require.Equal(t, s.URL+"/fn/", *url.FunctionUrl)
	_, err = c.PutFunctionConcurrency(t.Context(), &sdk.PutFunctionConcurrencyInput{FunctionName: aws.String("fn"), ReservedConcurrentExecutions: aws.Int32(0)})
	require.NoError(t, err)
	var throttled *types.TooManyRequestsException
	_, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn")})
	require.ErrorAs(t, err, &throttled)
	require.Equal(t, types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded, throttled.Reason)
	_, err = c.DeleteFunctionConcurrency(t.Context(), &sdk.DeleteFunctionConcurrencyInput{FunctionName: aws.String("fn")})
	require.NoError(t, err)
	_, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn")})
	require.NoError(t, err)
}

func TestManageRefusals(t *testing.T) {
	data := t.TempDir()
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--lambda-manage", "--data", data)
	c := client(s.lambdaURL(), secret)
	var value *types.InvalidParameterValueException
	refuse := func(want string, in *sdk.CreateFunctionInput) {
		t.Helper()
		_, err := c.CreateFunction(t.Context(), in)
		require.ErrorAs(t, err, &value)
		require.Contains(t, value.ErrorMessage(), want)
	}
	refuse("--allow-exec", create("fn", workerZip(t)))
	_, err := os.Stat(data + "/lambda/code")
	require.ErrorIs(t, err, os.ErrNotExist, "nothing was written")
	refuse("unzip", create("fn", []byte("no archive")))
	refuse("neither a module", create("fn", pack(t, map[string][]byte{"index.js": nil})))
	refuse("more than one module", create("fn", pack(t, map[string][]byte{"a.wasm": nil, "b.wasm": nil})))
	refuse("cannot be served", create("fn", pack(t, map[string][]byte{"a.wasm": []byte("no module")})))
	layers := create("fn", pack(t, map[string][]byte{"a.wasm": nil}))
	layers.Layers = []string{"arn:aws:lambda:us-east-1:000000000000:layer:x:1"}
	refuse("Layers is not supported", layers)
	bucket := create("fn", nil)
	bucket.Code = &types.FunctionCode{S3Bucket: aws.String("b"), S3Key: aws.String("k")}
	refuse("S3", bucket)
	_, err = c.CreateEventSourceMapping(t.Context(), &sdk.CreateEventSourceMappingInput{FunctionName: aws.String("fn")})
	require.ErrorContains(t, err, "UnknownOperationException")

	s = serve(t, "--lambda-listen", "127.0.0.1:0", "--allow-exec")
	_, err = client(s.lambdaURL(), secret).CreateFunction(t.Context(), create("fn", workerZip(t)))
	require.ErrorContains(t, err, "--lambda-manage")
}

// TestManageHostileArchive checks that no file is written outside of the function's own directory.
func TestManageHostileArchive(t *testing.T) {
	data := t.TempDir()
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--lambda-manage", "--allow-exec", "--data", data)
	c := client(s.lambdaURL(), secret)
	for _, name := range []string{"../outside", "/outside", "a/../../outside"} {
		_, err := c.CreateFunction(t.Context(), create("fn", pack(t, map[string][]byte{"bootstrap": nil, name: nil})))
		require.ErrorContains(t, err, "no file below its root", name)
	}
	left, err := os.ReadDir(data + "/lambda/code")
	require.True(t, err == nil || errors.Is(err, os.ErrNotExist), "%v", err)
	require.Empty(t, left)
}

// build builds a guest of this repository.
func build(t *testing.T, directory string, flags ...string) string {
	t.Helper()
	name := t.TempDir() + "/guest.wasm"
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", name, ".")...)
	cmd.Dir, cmd.Env = "../../"+directory, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return name
}

// TestUpdateKeepsMiddleware checks that changes by the SDK
// keep the middleware of a function, such as authentication.
func TestUpdateKeepsMiddleware(t *testing.T) {
	s := serve(t, "--lambda-listen", "127.0.0.1:0", "--lambda-manage", "--allow-exec")
	c := client(s.lambdaURL(), secret)
	ctx := t.Context()
	gate := build(t, "guest-sdk/examples/gate", "-buildmode=c-shared")
	module := build(t, "testdata/guests/src/gofunction")
	code, err := os.ReadFile(module)
	require.NoError(t, err)
	s.Vespo("add", "module", module, "--function", "--use", gate, "--use-config", "key=ada", "--timeout", "7s", "--config", "GREETING=hello")
	s.Vespo("add", "prog", "--exec", built.bootstrap, "--use", gate, "--use-config", "key=ada", "--processes", "1")
	for name, archive := range map[string][]byte{"module": pack(t, map[string][]byte{"f.wasm": append(code, 0, 2, 1, 'x')}), "prog": workerZip(t)} {
		check := func(path string) {
			t.Helper()
			require.Equal(t, 401, s.do("GET", path, "").StatusCode)
			a := s.do("GET", path, "", "X-Key: key")
			require.Less(t, a.StatusCode, 300, a.body)
			require.Equal(t, "ada", a.Header.Get("X-Served-For"))
		}
		check("/" + name)
		_, err := c.UpdateFunctionCode(ctx, &sdk.UpdateFunctionCodeInput{FunctionName: aws.String(name), ZipFile: archive, DryRun: true})
		require.NoError(t, err)
		published, err := c.UpdateFunctionCode(ctx, &sdk.UpdateFunctionCodeInput{FunctionName: aws.String(name), ZipFile: archive, Publish: true})
		require.NoError(t, err)
		require.Equal(t, "1", *published.Version)
		check("/" + name)
		check("/" + name + "~1")
		_, err = c.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String(name), Description: aws.String("changed")})
		require.NoError(t, err)
		check("/" + name)
	}
	require.Equal(t, `"hello /module"`, s.do("GET", "/module/env", "", "X-Key: key").body)
	require.Contains(t, s.Vespo("inspect", "prog"), "of 1 processes")
}
