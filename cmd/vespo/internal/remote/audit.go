package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// auditEvery is how often --follow asks for new entries.
const auditEvery = 2 * time.Second

// AuditCmd shows the audit log.
type AuditCmd struct {
	Since  string `placeholder:"TIME" help:"Show no earlier entries: 24h or 7d ago, 2026-01-31, or 2026-01-31T12:00:00Z; without it, all that the server keeps."`
	Follow bool   `short:"f" help:"Go on with new entries."`

	clientFlags
}

// auditEntry is an entry in responses.
type auditEntry struct {
	Time    time.Time `json:"time"`
	Result  string    `json:"result"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	From    string    `json:"from"`
	Detail  string    `json:"detail"`
	Changes []string  `json:"changes"`
	By      struct{ Kind, Name, ID string }
}

// auditPage is the response to a request for entries.
type auditPage struct {
	Entries []json.RawMessage `json:"entries"`
	Next    uint64            `json:"next"`
}

// Run is called by kong.
func (c *AuditCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	query := url.Values{}
	if c.Since != "" {
		query.Set("since", c.Since)
	}
	for {
		page, err := c.page(ctx, client, query)
		if err != nil {
			return err
		}
		if err := c.write(s, page.Entries); err != nil {
			return err
		}
		query.Set("after", strconv.FormatUint(page.Next, 10))
		if len(page.Entries) > 0 {
			continue
		}
		if !c.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(auditEvery):
		}
	}
}

func (c *AuditCmd) page(ctx context.Context, client *Client, query url.Values) (page auditPage, err error) {
	a, err := client.Get(ctx, "/services/audit", query)
	if err != nil {
		return page, err
	}
	return page, a.Decode(&page)
}

// write writes entries: one line each, as JSON or for people. The first entry of a change is in JSON alone.
func (c *AuditCmd) write(s stdio.Streams, entries []json.RawMessage) error {
	for _, line := range entries {
		text := string(line)
		if c.Format != formatJSON {
			var e auditEntry
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("the server's answer is not as expected; is it of another version? %w", err)
			}
			if e.Result == "begun" {
				continue
			}
			text = stdio.Printable(e.line())
		}
		if _, err := fmt.Fprintln(s.Out, text); err != nil {
			return err
		}
	}
	return nil
}

func (e *auditEntry) line() string {
	who := strings.TrimSpace(e.By.Kind + " " + e.By.Name)
	text := fmt.Sprintf("%s  %-7s  %s  by %s from %s", e.Time.Local().Format(time.DateTime), e.Result, strings.TrimSpace(e.Action+" "+e.Subject), who, cmp.Or(e.From, "-"))
	if len(e.Changes) > 0 {
		text += "  " + strings.Join(e.Changes, "; ")
	}
	if e.Detail != "" {
		text += "  " + e.Detail
	}
	return text
}
