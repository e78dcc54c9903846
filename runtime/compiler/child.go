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
	exitTime     = 13 // it needs more processor time than job.CPUSeconds
	exitPanic    = 12 // the job cannot be read or executed
	exitBroken   = 13 // the parent has exited or dropped the job
	exitDeserted = 14 // the parent is gone
)

// job is what a child reads first, as JSON behind its length in 4 bytes. The module comes next. The stream then stays open for as
// long as the parent wants the result.
type job struct {
	Dir         string // where wazero's cache is to be
	ModuleBytes int64
	MemoryBytes int64
	CPUSeconds  uint64
	Workers     int
	Reading     time.Duration // processor time for reading and validating
}

const (
	maxJobBytes    = 64 << 10
	maxModuleBytes = 2 << 30 // above any module's, rewritten
	maxReasonBytes = 4 << 10
)

func writeJob(w io.Writer, j job, module []byte) error {
	j.ModuleBytes = int64(len(module))
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		return err
	}
	_, err = w.Write(module)
	return err
}

// readJob reads all but the module.
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
	if j.ModuleBytes < 0 || j.ModuleBytes > maxModuleBytes {
		return j, fmt.Errorf("a module of %d bytes is too long", j.ModuleBytes)
	}
	return j, nil
}

// Serve is the child's whole life: it does the job that stdin holds, and returns the exit code. The process must end then, as
// goroutines may be left. It limits the process that it runs in, so it must be alone there.
func Serve(stdin io.Reader, stdout, stderr io.Writer) (exitCode int) {
	j, err := readJob(stdin)
	if err == nil {
		err = limitProcess(j)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitBroken
	}
	goruntime.GOMAXPROCS(max(1, j.Workers))
	debug.SetMemoryLimit(j.MemoryBytes / 4 * 3) // collect more often before giving up
	return j.serve(stdin, stdout, stderr)
}

// serve does the job, or what ends it first.
func (j job) serve(stdin io.Reader, stdout, stderr io.Writer) (exitCode int) {
	module := make([]byte, j.ModuleBytes)
	if _, err := io.ReadFull(stdin, module); err != nil {
		fmt.Fprintln(stderr, err)
		return exitBroken
	}
	ended := make(chan int, 4)
	go func() {
		<-outOfTime()
		ended <- exitTime
	}()
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // whatever ends the stream: there is no parent
		ended <- exitDeserted
	}()
	go func() { ended <- awaitMemory(uint64(j.MemoryBytes)) }()
	go func() { ended <- j.compile(module, stdout, stderr) }()
	return <-ended
}

// compile compiles, and turns a panic of the compiler into an exit code.
func (j job) compile(module []byte, stdout, stderr io.Writer) (exitCode int) {
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
		return compile(ctx, r, module, j.Workers)
	})
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		fmt.Fprint(stdout, refused.Reason)
		return exitInvalid
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitBroken
	}
	return exitDone
}

// validate does with the module what the parent will do to load its code, and refuses what takes too long.
func (j job) validate(r wazero.Runtime, module []byte) error {
	begin := processorTime()
	_, err := r.CompileModule(LoadOnly(), module)
	took := processorTime() - begin
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		return invalid(err)
	case j.Reading > 0 && took > j.Reading:
		return &Refusal{Reason: fmt.Sprintf("cannot be loaded: to validate it takes longer than %s of processor time", j.Reading)}
	}
	return nil
}

// memoryPeriod is how often a child looks at its memory. What is allocated between is bounded by the system's limit, where it has one.
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

// invalid is the refusal of a module that wazero refuses.
func invalid(err error) *Refusal {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return &Refusal{Reason: "is not valid WebAssembly: " + line, Cause: err}
}
