package compiler

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
)

// Exit codes of a child. Other codes come from the Go runtime or the system.
const (
	exitDone     = 0
	exitInvalid  = 10 // the module is invalid; standard output has the reason
	exitMemory   = 11 // the compilation needs more than job.MemoryBytes
	exitPanic    = 12 // the compiler panicked; standard error has the stack
	exitBroken   = 13 // the job cannot be read or executed
	exitDeserted = 14 // the parent has exited or dropped the job
	exitTime     = 15 // the compilation needs more processor time than job.CPUSeconds
	exitFull     = 16 // the disk has no space for the result
)

// job is the first message to a child: JSON, preceded by its length in 4 bytes. The module and its stub
// follow. The parent keeps the stream open as long as it wants the result.
type job struct {
	Dir         string // directory for wazero's cache
	ModuleBytes int64
	StubBytes   int64 // 0: none
	MemoryBytes int64
	CPUSeconds  uint64
	Workers     int           // processors to use while others need them
	Processors  int           // processors to use otherwise
	Reading     time.Duration // processor time for reading and validating
}

const (
	maxJobBytes    = 64 << 10
	maxModuleBytes = 2 << 30 // larger than any rewritten module
	maxReasonBytes = 4 << 10
)

func writeJob(w io.Writer, j job, module, stub []byte) error {
	j.ModuleBytes, j.StubBytes = int64(len(module)), int64(len(stub))
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		return err
	}
	if _, err := w.Write(module); err != nil {
		return err
	}
	_, err = w.Write(stub)
	return err
}

// readJob reads a job without its module.
func readJob(r io.Reader) (j job, err error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return j, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxJobBytes {
		return j, fmt.Errorf("a job of %d bytes is too long", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return j, err
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return j, err
	}
	for _, n := range []int64{j.ModuleBytes, j.StubBytes} {
		if n < 0 || n > maxModuleBytes {
			return j, fmt.Errorf("a module of %d bytes is too long", n)
		}
	}
	return j, nil
}

// Serve is the main function of a child: it runs the job from stdin and returns the exit
// code. The process must exit afterwards, because goroutines may be left. Serve sets limits
// for the whole process, so nothing else may run in it.
func Serve(stdin io.Reader, stdout, stderr io.Writer) (exitCode int) {
	j, err := readJob(stdin)
	if err == nil {
		err = limitProcess(j)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitBroken
	}
	goruntime.GOMAXPROCS(max(1, j.Workers, j.Processors))
	debug.SetMemoryLimit(j.MemoryBytes / 4 * 3) // collect more often near the limit
	return j.serve(stdin, stdout, stderr)
}

// serve compiles the module until it is done, exceeds a limit or is deserted by the parent.
func (j job) serve(stdin io.Reader, stdout, stderr io.Writer) (exitCode int) {
	module, stub := make([]byte, j.ModuleBytes), make([]byte, j.StubBytes)
	for _, part := range [][]byte{module, stub} {
		if _, err := io.ReadFull(stdin, part); err != nil {
			fmt.Fprintln(stderr, err)
			return exitBroken
		}
	}
	ended := make(chan int, 4)
	go func() {
		<-outOfTime()
		ended <- exitTime
	}()
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // any end of the stream means that the parent is gone
		ended <- exitDeserted
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go j.adaptWidth(ctx)
	go func() { ended <- awaitMemory(uint64(j.MemoryBytes)) }()
	go func() { ended <- j.compile(module, stub, stdout, stderr) }()
	return <-ended
}

// compile compiles the module and maps the result, including a panic of the compiler, to an exit code.
func (j job) compile(module, stub []byte, stdout, stderr io.Writer) (exitCode int) {
	defer func() {
		if v := recover(); v != nil {
			fmt.Fprintf(stderr, "panic: %v\n%s", v, debug.Stack())
			exitCode = exitPanic
		}
	}()
	ctx := context.Background()
	err := withRuntime(ctx, j.Dir, func(r wazero.Runtime) error {
		if err := j.validate(r, module); err != nil {
			return err
		}
		return compileFor(ctx, r, j.Dir, module, stub, max(j.Workers, j.Processors))
	})
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		fmt.Fprint(stdout, refused.Reason)
		return exitInvalid
	case errors.Is(err, ErrNoSpace):
		return exitFull
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitBroken
	}
	return exitDone
}

// validate reads and validates the module without compiling it, and refuses it if that takes too long.
func (j job) validate(r wazero.Runtime, module []byte) error {
	begin := processorTime()
	_, err := r.CompileModule(LoadOnly(), module)
	took := processorTime() - begin
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return compileError(err)
	case j.Reading > 0 && took > j.Reading:
		return &Refusal{Reason: fmt.Sprintf("cannot be loaded: to validate it takes longer than %s of processor time", j.Reading)}
	}
	return nil
}

// memoryPeriod is the interval of a child's memory checks. In between, only the system's
// limit applies, if there is one.
const memoryPeriod = 20 * time.Millisecond

// awaitMemory returns when the Go runtime holds more than limit bytes.
func awaitMemory(limit uint64) (exitCode int) {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	for range time.Tick(memoryPeriod) {
		metrics.Read(samples)
		if samples[0].Value.Uint64()-samples[1].Value.Uint64() > limit {
			break
		}
	}
	return exitMemory
}

// invalid returns the Refusal of a module that wazero rejects.
func invalid(err error) *Refusal {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return &Refusal{Reason: "is not valid WebAssembly: " + line, Cause: err}
}
