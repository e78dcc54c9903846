package remote

import "errors"

// bindFlags select what a prefix is bound to instead of a
// module, such as an upstream or a queue, and its options.
type bindFlags struct {
	Upstream       []string `placeholder:"URL" help:"Pass requests on to this server, such as http://127.0.0.1:9000; several, separated by commas or by repeating the flag, share them."`
	KeepPrefix     bool     `help:"With --upstream: leave the prefix in the path of the request."`
	KeepLocation   bool     `help:"With --upstream: leave Location, Content-Location, Refresh and the paths of cookies in answers as the upstream sent them."`
	Host           string   `placeholder:"upstream|client" help:"With --upstream: the Host that it is sent, its own or the one that the client has asked for (upstream)."`
	RequestHeader  []string `sep:"none" placeholder:"NAME:VALUE" help:"With --upstream: a header of requests to set, or to remove, as in 'Cookie:'; may be repeated."`
	ResponseHeader []string `sep:"none" placeholder:"NAME:VALUE" help:"With --upstream: the same for headers of answers; may be repeated."`
	Static         string   `placeholder:"DIR" help:"Answer with the files of this directory, below the server's --root."`
	Fallback       string   `placeholder:"FILE" help:"With --static: the file that answers for pages which do not exist, such as index.html of an application that has its own router."`
	CacheControl   string   `placeholder:"VALUE" help:"With --static: the header Cache-Control of answers, such as max-age=3600."`
	Function       bool     `help:"Let processes answer that speak the Lambda Runtime API: they find it at the address that is shown, given to them as AWS_LAMBDA_RUNTIME_API. With a module: a command that reads the event from standard input and prints what it returns."`
	RuntimePort    int      `placeholder:"PORT" help:"With --function: the port of the Runtime API on 127.0.0.1 (a free one)."`

	Queue     bool   `help:"Let requests wait for workers, which fetch and answer them over HTTP, by Prack's protocol."`
	Depth     int    `placeholder:"N" help:"With --queue: requests that may wait (1000)."`
	Lease     string `placeholder:"DURATION" help:"With --queue: how long a worker has for a request (--timeout, or half of that where the request can be handed out again)."`
	Redeliver bool   `help:"With --queue: hand a request out again whose worker did not answer, though its method is not idempotent."`
	Default   bool   `help:"With --queue: the queue of workers that do not name one."`
	Durable   bool   `help:"With --queue: accept requests whose client does not wait, and keep them and their answers on disk."`

	Exec      string   `placeholder:"PROGRAM" type:"path" help:"A function whose worker the server starts and stops itself; only where it was started with --allow-exec. The --config settings are its environment."`
	ExecArg   []string `sep:"none" placeholder:"ARG" help:"With --exec: an argument of the program; may be repeated."`
	Processes int      `placeholder:"N" help:"With --exec: the processes that may run at a time (4)."`

	WorkerConcurrency int `placeholder:"N" help:"With --function or --exec: the events that one process takes at a time, where it was started with AWS_LAMBDA_MAX_CONCURRENCY (1)."`
}

// bound reports whether the prefix is bound to something other than a module.
func (f *bindFlags) bound() bool {
	return len(f.Upstream) > 0 || f.Static != "" || f.Function || f.Exec != "" || f.Queue
}

// fields returns the request fields of the given flags. The server checks which of them go together.
func (f *bindFlags) fields() map[string]any {
	given := map[string]any{}
	for name, values := range map[string][]string{
		"upstream": f.Upstream, "request_header": f.RequestHeader, "response_header": f.ResponseHeader, "exec_arg": f.ExecArg,
	} {
		if len(values) > 0 {
			given[name] = values
		}
	}
	for name, value := range map[string]string{
		"host": f.Host, "static": f.Static, "fallback": f.Fallback, "cache_control": f.CacheControl, "lease": f.Lease, "exec": f.Exec,
	} {
		if value != "" {
			given[name] = value
		}
	}
	for name, value := range map[string]bool{
		"keep_prefix": f.KeepPrefix, "keep_location": f.KeepLocation, "function": f.Function, "queue": f.Queue, "redeliver": f.Redeliver, "default": f.Default, "durable": f.Durable,
	} {
		if value {
			given[name] = true
		}
	}
	for name, value := range map[string]int{"runtime_port": f.RuntimePort, "worker_concurrency": f.WorkerConcurrency, "depth": f.Depth, "processes": f.Processes} {
		if value != 0 {
			given[name] = value
		}
	}
	return given
}

// moduleFunction reports whether the module is a function, which takes events instead of requests.
func (c *AddCmd) moduleFunction() bool { return c.Module != "" && c.Function }

// Validate is called by kong. It checks only what the server would not see.
func (c *AddCmd) Validate() error {
	switch {
	case isAddress(c.Module) && c.usesFiles():
		return errors.New("the server fetches the module: give addresses to --use as well, or a file for the module")
	case !c.bound() && len(c.bindFlags.fields()) > 0:
		return errors.New("the given flags are for --upstream, --static, --function, --exec or --queue, and none of these is given")
	case !c.bound() && c.Module == "":
		return errors.New("give a module as <file|url>, or --upstream, --static, --function, --exec or --queue")
	case c.moduleFunction() && len(c.bindFlags.fields()) > 1:
		return errors.New("a module as a function takes its events itself: of the flags for what a prefix is bound to, give --function alone")
	case c.bound() && c.Module != "" && !c.moduleFunction():
		return errors.New("a prefix is bound to one thing: give a module, or --upstream, --static, --function, --exec or --queue")
	}
	return c.clientFlags.Validate()
}
