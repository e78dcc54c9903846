package handover

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
)

// Messages between the processes, each a line.
const (
	prepared = "prepared"
	proceed  = "go"
	ready    = "ready"
)

// messageFDs is the number of descriptors for messages. They come before the sockets.
const messageFDs = 2

// Predecessor is the process that this one takes over from.
type Predecessor struct {
	from *os.File
	to   *os.File
}

func newPredecessor() *Predecessor {
	for fd := firstFD; fd < firstFD+messageFDs; fd++ {
		closeOnExec(fd) // compilers and programs of functions do not get them
	}
	return &Predecessor{from: os.NewFile(firstFD, "messages"), to: os.NewFile(firstFD+1, "answers")}
}

// Prepared tells the predecessor that this process can take over, and waits until it may. If the predecessor has ended
// by itself, this process may, too.
func (p *Predecessor) Prepared(ctx context.Context) error {
	if _, err := fmt.Fprintln(p.to, prepared); err != nil {
		return nil // it has ended
	}
	come := make(chan error, 1)
	go func() { // ends with the predecessor, or with this process
		line, err := bufio.NewReader(p.from).ReadString('\n')
		if err == io.EOF || line == proceed+"\n" {
			err = nil
		}
		come <- err
	}()
	select {
	case err := <-come:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready tells the predecessor that this process serves.
func (p *Predecessor) Ready() {
	_, _ = fmt.Fprintln(p.to, ready) // fails if the predecessor has ended
	_ = p.to.Close()
	_ = p.from.Close()
}
