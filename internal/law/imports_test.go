package law

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// importRule forbids imports. Each path includes all paths below it.
type importRule struct {
	in     []string // directories, from the root; empty: all
	except []string // exempt directories
	never  []string // import paths; those of this repository begin with "./"
	tests  bool     // applies to test files, too
	inside bool     // applies to test files of the package itself alone, not to those of package p_test
	apart  bool     // the directories of in are siblings: each may import itself and its subdirectories
	why    string
}

// importLaw is the import law. If a rule prevents a good solution, change it here, with its
// reason, and do not evade it.
var importLaw = []importRule{
	{
		in:    []string{"runtime"},
		never: []string{"./registry", "./router", "./services", "./cmd"},
		tests: true,
		why:   "guests run without knowing who asked: the runtime can be tested and replaced without HTTP, names and disks",
	},
	{
		in:    []string{"registry"},
		never: []string{"./runtime", "./router", "./services", "./cmd"},
		tests: true,
		why:   "the catalogue outlives what it lists: what is written to disk must not change with the code that serves it",
	},
	{
		in:    []string{"router"},
		never: []string{"./runtime", "./registry", "./services", "./cmd"},
		tests: true,
		why:   "routing knows handlers and nothing else: whatever a prefix is bound to is routed, limited and logged alike",
	},
	{
		in:    []string{"services"},
		never: []string{"./cmd"},
		tests: true,
		why:   "cmd builds the object graph; nothing calls upwards",
	},
	{
		in:     []string{"internal"},
		except: []string{"internal/law"},
		never:  []string{"./runtime", "./registry", "./router", "./services", "./cmd"},
		tests:  true,
		why:    "the ground floor holds what several rooms share, and knows none of them",
	},
	{
		in:    kinds,
		never: []string{"./services/kinds", "./services/control"},
		apart: true,
		why:   "the data plane: a kind is added or removed as one package, and nothing that serves requests waits for management",
	},
	{
		in:     kinds,
		never:  []string{"./services/servicetest", "./services/control"},
		inside: true,
		why:    "a server runs a kind for tests outside of its package, which see what a server sees; tests inside are for algorithms",
	},
	{
		in: []string{
			"services/control/admin",
			"services/control/configfile",
			"services/control/deploy",
			"services/control/fields",
			"services/control/lambda",
			"services/control/middleware",
			"services/control/plan",
			"services/control/scheduler",
			"services/schedule",
			"services/schema",
		},
		never: []string{"./services/kinds"},
		why:   "the control plane treats all kinds alike: it knows their descriptions",
	},
	{
		in:    []string{"services/control/plan"},
		never: []string{"./services", "./router", "os", "net", "context"},
		why:   "plans are pure, so that they are tested against a model; deploy waits, stores and publishes",
	},
	{
		in:    []string{"services/egress"},
		never: []string{"./services/kinds", "./services/control"},
		tests: true,
		why:   "what leaves the server obeys one policy, whoever asks",
	},
	{
		except: []string{"runtime", "testdata", "bench"},
		never:  []string{"github.com/tetratelabs/wazero"},
		tests:  true,
		why:    "wazero's traps are known in one place; everybody else sees engine's Outcome",
	},
	{
		except: []string{"router", "bench"},
		never:  []string{"github.com/julienschmidt/httprouter"},
		tests:  true,
		why:    "its registration panics and its trees are not safe to change: router/table.go is the one place that knows how to use it",
	},
	{
		in:    []string{"runtime", "registry"},
		never: []string{"net/http"},
		why:   "the Exchange is all that a guest sees of a request; a server of another protocol must need no change there",
	},
	{
		in:     []string{"registry"},
		except: []string{"registry/filestore"},
		never:  []string{"os", "syscall", "golang.org/x/sys"},
		why:    "the state and its decisions are pure, so that they are tested against a model; filestore has the disk",
	},
	{
		except: append([]string{"testdata", "bench", "conformance"}, testPackages...),
		never:  []string{"testing", "github.com/stretchr/testify"},
		why:    "test code in the server registers flags and is attack surface",
	},
	{
		except: testPackages,
		never:  imported(testPackages),
		why:    "they are test code; the server must work without them",
	},
	{
		except: []string{"cmd/vespo/vespo-cluster"},
		never:  []string{"go.etcd.io/etcd"},
		tests:  true,
		why:    "one host needs no etcd: its client is a module of its own, which only hosts with a common catalogue build",
	},
	{
		except: []string{"cmd/vespo/vespo-cluster"},
		never:  []string{"github.com/redis", "github.com/jackc"},
		tests:  true,
		why:    "one host needs no engine for key-value stores: the clients are in a module of their own",
	},
	{
		except: []string{"cmd", "bench"},
		never:  []string{"github.com/alecthomas/kong", "flag"},
		why:    "only the command line parses a command line",
	},
	{
		in:    []string{"guest-sdk"},
		never: []string{"./runtime", "./registry", "./router", "./services", "./cmd"},
		tests: true,
		why:   "the SDK is compiled into other people's guests: it depends on the standard library alone",
	},
	{
		never: []string{"C"},
		tests: true,
		why:   "cgo would end cross compilation and static binaries",
	},
}

// testPackages hold test code that several packages share.
var testPackages = []string{
	"cmd/vespo/internal/certs/certtest",
	"cmd/vespo/vespo-cluster/etcdtest",
	"cmd/vespo/vespo-cluster/enginetest",
	"cmd/vespo/vespo-cluster/proof",
	"internal/heaptest",
	"internal/lane/lanetest",
	"internal/durable/crashfs",
	"internal/durable/crashtest",
	"registry/storetest",
	"services/kv/storetest",
	"services/queues/storetest",
	"services/events/storetest",
	"services/observe/tally/tallytest",
	"services/servicetest", // runs kinds for tests
}

// imported returns the directories in the form of import paths.
func imported(dirs []string) (paths []string) {
	for _, dir := range dirs {
		paths = append(paths, "./"+dir)
	}
	return paths
}

// kinds are the directories of the kinds of services.
var kinds = directories("services/kinds")

// directories returns the directories in dir.
func directories(dir string) (names []string) {
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, dir+"/"+e.Name())
		}
	}
	return names
}

// reads reports whether the rule applies to files of this sort.
func (r importRule) reads(s *source) bool {
	if r.inside {
		return s.test() && !strings.HasSuffix(s.syntax.Name.Name, "_test")
	}
	return !s.test() || r.tests
}

// broken returns the forbidden imports of a file.
func (r importRule) broken(s *source) (imports []string) {
	if len(r.in) > 0 && !within(s.dir(), r.in...) || within(s.dir(), r.except...) || !r.reads(s) {
		return nil
	}
	for _, imported := range s.imports() {
		if r.apart && slices.ContainsFunc(r.in, func(dir string) bool { return within(s.dir(), dir) && within(imported, "./"+dir) }) {
			continue
		}
		if within(imported, r.never...) {
			imports = append(imports, imported)
		}
	}
	return imports
}

func TestImportLaw(t *testing.T) {
	for _, s := range tree(t) {
		for _, rule := range importLaw {
			for _, imported := range rule.broken(s) {
				t.Errorf("%s imports %s: %s", s.path, imported, rule.why)
			}
		}
	}
}

func TestImportLawSeesOffences(t *testing.T) {
	for _, c := range []struct {
		path, imported string // path: with " outside", of a package p_test
		offence        bool
	}{
		{"runtime/engine/a.go", modulePath + "/registry", true},
		{"runtime/engine/a_test.go", modulePath + "/router/accesslog", true},
		{"runtime/engine/a.go", modulePath + "/runtime/abi", false},
		{"runtimes/a.go", modulePath + "/registry", false},
		{"router/a.go", modulePath + "/services/control/deploy", true},
		{"services/kinds/wasm/a.go", modulePath + "/router", false},
		{"services/kinds/wasm/a.go", modulePath + "/services/kinds/proxy", true},
		{"services/kinds/queue/internal/x/a.go", modulePath + "/services/kinds/queue/internal/y", false},
		{"services/control/deploy/a.go", modulePath + "/services/kinds/proxy", true},
		{"services/control/lambda/a.go", modulePath + "/services/kinds/function", true},
		{"services/control/plan/a.go", modulePath + "/services", true},
		{"services/egress/fetch/a.go", modulePath + "/services/control/deploy", true},
		{"internal/problem/a.go", modulePath + "/router", true},
		{"services/kinds/wasm/a.go", "github.com/tetratelabs/wazero/api", true},
		{"runtime/engine/a.go", "github.com/tetratelabs/wazero/api", false},
		{"services/a.go", "github.com/julienschmidt/httprouter", true},
		{"runtime/abi/a.go", "net/http", true},
		{"runtime/abi/a.go", "net/http/httputil", true},
		{"runtime/abi/a_test.go", "net/http", false},
		{"registry/a.go", "os", true},
		{"registry/filestore/a.go", "os", false},
		{"router/a.go", "testing", true},
		{"services/servicetest/a.go", "testing", false},
		{"services/kinds/wasm/a.go", modulePath + "/services/servicetest", true},
		{"services/kinds/wasm/a_test.go outside", modulePath + "/services/servicetest", false},
		{"services/kinds/wasm/a_test.go", modulePath + "/services/servicetest", true},
		{"services/control/admin/a_test.go", modulePath + "/services/servicetest", false},
		{"cmd/vespo/a.go", "C", true},
	} {
		file, outside := strings.CutSuffix(c.path, " outside")
		name := map[bool]string{false: "p", true: "p_test"}[outside]
		s, err := parse(file, fmt.Appendf(nil, "package %s\nimport _ %q\n", name, c.imported))
		require.NoError(t, err)
		broken := 0
		for _, rule := range importLaw {
			broken += len(rule.broken(s))
		}
		require.Equal(t, c.offence, broken > 0, "%s imports %s", c.path, c.imported)
	}
}

// TestDependencies checks direct and indirect dependencies.
func TestDependencies(t *testing.T) {
	for _, c := range []struct {
		dir, packages string
		never         string // an import path
		why           string
	}{
		{root, "./runtime/...", "net/http", "a library must not bring it in either"},
		{root, "./registry ./registry/filestore", "net/http", "a library must not bring it in either"},
		{root, "./registry ./registry/filestore", "github.com/tetratelabs/wazero", "the catalogue can be read without an engine"},
		{root, "./router/...", "github.com/tetratelabs/wazero", "routing can be tested without an engine"},
		{root + "/guest-sdk", "./...", "github.com", "the SDK depends on the standard library alone"},
	} {
		for _, dep := range list(t, c.dir, "{{if not .Standard}}{{.ImportPath}}{{else if eq .ImportPath \"net/http\"}}net/http{{end}}", c.packages) {
			if within(dep, c.never) && !within(dep, modulePath+"/guest-sdk") {
				t.Errorf("%s depends on %s: %s", c.packages, dep, c.why)
			}
		}
	}
	for _, dep := range list(t, root, "{{if and .CgoFiles (not .Standard)}}{{.ImportPath}}{{end}}", "./...") {
		t.Errorf("%s is linked in and uses cgo, which would end cross compilation and static binaries", dep)
	}
}

// list runs go list on packages and all their dependencies, and returns the words of its output.
func list(t *testing.T, dir, format, packages string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", format}, strings.Fields(packages)...)...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1") // include files that use cgo
	out, err := cmd.Output()
	require.NoError(t, err, "%s", cmd)
	return strings.Fields(string(out))
}
