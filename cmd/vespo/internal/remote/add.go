package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
)

// AddCmd adds or replaces a service.
type AddCmd struct {
	Prefix    string `arg:"" help:"Path prefix to serve it under, such as hello or a/b; / takes all that no other service has."`
	Module    string `arg:"" optional:"" name:"file|url" help:"The module: a file, - for standard input, or an http or https address that the server fetches."`
	Match     string `placeholder:"HEADER:VALUE" help:"Serve only requests with this header whose value begins so, as in 'Host: api.example.com'."`
	Memory    string `placeholder:"SIZE" help:"Linear memory of one request, at most the server's --memory, which is the default."`
	Timeout   string `placeholder:"DURATION" help:"Time limit of one request, for --upstream until the answer begins; the server's --timeout if not given."`
	CGIArgs   bool   `name:"cgi-args" help:"Give a CGI command the words of a query without '=' as arguments, as for a search; without it, its only argument is its name."`
	Isolation string `placeholder:"snapshot|fresh" help:"How a request gets its state: restored in place, or an instance of its own."`

	Reset bool     `help:"Give options that are not given their defaults, instead of keeping those of the current version."`
	Unset []string `placeholder:"OPTION" help:"Give these options of the current version their defaults, such as use or config; several, separated by commas or by repeating the flag. An empty value, as in --use '', does the same."`

	middlewareFlags
	flags.Grants
	bindFlags
	clientFlags
}

// Run is called by kong.
func (c *AddCmd) Run(ctx context.Context, s stdio.Streams, command *kong.Context) error {
	c.Unset = append(c.Unset, emptied(command)...)
	client, err := c.client()
	if err != nil {
		return err
	}
	var a *Answer
	switch {
	case c.bound() && !c.moduleFunction() && !c.usesFiles():
		a, err = c.addJSON(ctx, client, s, c.bindFlags.fields(), "adding")
	case isAddress(c.Module):
		a, err = c.addJSON(ctx, client, s, map[string]any{"source": c.Module}, "fetching and compiling")
	default:
		a, err = c.addFile(ctx, client, s)
	}
	if err != nil {
		return err
	}
	what := "replaced"
	if a.Status == http.StatusCreated {
		what = "added"
	}
	return c.writeDeployed(s, client, a, what)
}

// notOptions are flags for which an empty value has no meaning.
var notOptions = [...]string{"server", "token", "format", "match", "reset", "unset", "upstream", "static", "function", "exec", "queue"}

// emptied returns the field names of the options that the command line sets to an empty value.
func emptied(command *kong.Context) (names []string) {
	for _, p := range command.Path {
		if p.Flag == nil || slices.Contains(notOptions[:], p.Flag.Name) {
			continue
		}
		value := p.Flag.Target
		if value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0 {
			names = append(names, fieldName(p.Flag.Name))
		}
	}
	return names
}

// fieldName returns the API's field name for a flag.
func fieldName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// unset returns the request fields that reset options to their defaults.
func (c *AddCmd) unset() map[string]any {
	fields := map[string]any{}
	if c.Reset {
		fields["reset"] = true
	}
	if len(c.Unset) > 0 {
		names := make([]string, 0, len(c.Unset))
		for _, name := range c.Unset {
			names = append(names, fieldName(strings.TrimPrefix(name, "--")))
		}
		fields["unset"] = names
	}
	return fields
}

// options returns the request fields of the given options, by name. The server validates the values.
func (c *AddCmd) options() map[string]string {
	given := map[string]string{"prefix": c.Prefix}
	for name, value := range map[string]string{"match": c.Match, "memory": c.Memory, "timeout": c.Timeout, "isolation": c.Isolation} {
		if value != "" {
			given[name] = value
		}
	}
	if c.moduleFunction() {
		given["function"] = "true"
	}
	if c.CGIArgs {
		given["cgi_args"] = "true"
	}
	return given
}

// addJSON sends a request without a module: the server
// fetches the module, or fields describe the whole service.
func (c *AddCmd) addJSON(ctx context.Context, client *Client, s stdio.Streams, fields map[string]any, work string) (*Answer, error) {
	for name, value := range c.options() {
		fields[name] = value
	}
	if len(c.Allow) > 0 {
		fields["allow"] = c.Allow
	}
	if len(c.Config) > 0 {
		fields["config"] = c.Config
	}
	if len(c.Mount) > 0 {
		fields["mount"] = c.Mount
	}
	maps.Copy(fields, c.unset())
	c.middlewareFlags.addTo(fields)
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	progress := c.progress(s, 0, work)
	defer progress.close()
	return client.Call(ctx, http.MethodPost, "/services/add", nil, Upload{
		Body: bytes.NewReader(body), SizeBytes: int64(len(body)), ContentType: "application/json",
	})
}

// addFile uploads the module in a form. A form is used rather than a
// query because queries end up in logs, and settings may be secrets.
func (c *AddCmd) addFile(ctx context.Context, client *Client, s stdio.Streams) (_ *Answer, err error) {
	module, sizeBytes := io.NopCloser(strings.NewReader("")), int64(0)
	if !c.bound() || c.moduleFunction() {
		if module, sizeBytes, err = c.open(s); err != nil {
			return nil, err
		}
	}
	defer module.Close()
	head, tail, contentType, err := c.form()
	if err != nil {
		return nil, err
	}
	progress := c.progress(s, sizeBytes, "compiling")
	defer progress.close()
	return client.Call(ctx, http.MethodPost, "/services/add", nil, Upload{
		Body:      io.MultiReader(bytes.NewReader(head), progress.reader(module), bytes.NewReader(tail)),
		SizeBytes: int64(len(head)) + sizeBytes + int64(len(tail)), ContentType: contentType,
	})
}

// form returns the parts of the form's body before and after the module, and its content type.
func (c *AddCmd) form() (head, tail []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	field := func(name, value string) { err = errors.Join(err, w.WriteField(name, value)) }
	given := c.options()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field(name, given[name])
	}
	for _, origin := range c.Allow {
		field("allow", origin)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Config)) {
		field("config", name+"="+c.Config[name])
	}
	for _, path := range slices.Sorted(maps.Keys(c.Mount)) {
		field("mount", path+"="+c.Mount[path])
	}
	err = errors.Join(err, writeFields(w, c.unset()), c.middlewareFlags.write(w))
	var fileErr error
	if c.bound() && !c.moduleFunction() {
		fileErr = writeFields(w, c.bindFlags.fields())
	} else {
		_, fileErr = w.CreateFormFile("module", "module.wasm")
	}
	head = bytes.Clone(b.Bytes())
	b.Reset()
	if err = errors.Join(err, fileErr, w.Close()); err != nil {
		return nil, nil, "", err
	}
	return head, b.Bytes(), w.FormDataContentType(), nil
}

// open returns the module and its size. Input of unknown size is read to its end first: only
// with a known length can the server refuse an upload that is too large before it is sent.
func (c *AddCmd) open(s stdio.Streams) (io.ReadCloser, int64, error) {
	if c.Module == "-" {
		return readAll(s.In)
	}
	f, err := regular.OpenAny(c.Module)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &fs.PathError{Op: "open", Path: c.Module, Err: errors.New("is a directory; give a WebAssembly module")}
	case info.Mode().IsRegular() && info.Size() == 0:
		err = fmt.Errorf("%s is empty; give a WebAssembly module", c.Module)
	case info.Mode().IsRegular():
		return f, info.Size(), nil
	default: // a pipe
		defer f.Close()
		return readAll(f)
	}
	return nil, 0, errors.Join(err, f.Close())
}

func readAll(r io.Reader) (io.ReadCloser, int64, error) {
	module, err := io.ReadAll(io.LimitReader(r, flags.MaxModuleBytes+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read the module: %w", err)
	case len(module) == 0:
		return nil, 0, errors.New("the input is empty; give a WebAssembly module")
	case len(module) > flags.MaxModuleBytes:
		return nil, 0, fmt.Errorf("the input is larger than %s, which no server takes", flags.Size(flags.MaxModuleBytes))
	}
	return io.NopCloser(bytes.NewReader(module)), int64(len(module)), nil
}

// progress returns nil unless standard error is a terminal.
func (c *AddCmd) progress(s stdio.Streams, totalBytes int64, work string) *progress {
	if !s.Interactive() {
		return nil
	}
	return startProgress(s.Err, totalBytes, work)
}
