package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// RemoveCmd removes a service.
type RemoveCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`
	Yes    bool   `short:"y" help:"Do not ask. Without a terminal, nothing is asked in any case."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *RemoveCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	if !c.Yes && stdio.IsTerminal(s.In) {
		if err := c.confirm(ctx, client, s); err != nil {
			return err
		}
	}
	a, err := client.Post(ctx, "/services/remove", c.query(c.Prefix))
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeRemoved)
}

// confirm asks on the terminal whether to remove the service, after looking what that is.
func (c *RemoveCmd) confirm(ctx context.Context, client *Client, s stdio.Streams) error {
	a, err := client.Get(ctx, "/services/inspect", c.query(c.Prefix))
	if err != nil {
		return err
	}
	var found Service
	if err := a.Decode(&found); err != nil {
		return err
	}
	return agree(s, question(&found, client.base), "nothing was removed")
}

// agree asks a question on the terminal. It returns an error with the text refusal unless the answer is yes.
func agree(s stdio.Streams, question, refusal string) error {
	fmt.Fprintf(s.Err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(io.LimitReader(s.In, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New(refusal)
}

// question names what would be lost.
func question(s *Service, base string) string {
	text := "remove " + stdio.Printable(s.bound())
	if n := len(s.History); n > 0 {
		text += " with its " + counted(n, "earlier version")
	}
	text += " from " + base
	if s.InFlight > 0 {
		text += ", which has " + counted(s.InFlight, "request") + " in flight"
	}
	return text + "?"
}

func writeRemoved(to *screen, removed *Service) error {
	_, err := fmt.Fprintf(to, "removed %s\n", stdio.Printable(removed.bound()))
	return err
}
