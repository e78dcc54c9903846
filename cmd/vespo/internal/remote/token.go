package remote

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// TokenCmd works with the tokens of a server.
type TokenCmd struct {
	Create TokenCreateCmd `cmd:"" help:"Make a token, and print it: it is not shown again."`
	List   TokenListCmd   `cmd:"" aliases:"ls" help:"List the tokens with their scopes."`
	Revoke TokenRevokeCmd `cmd:"" aliases:"rm" help:"Revoke a token: no request with it is accepted any more, and those in progress end."`
}

// token is a token in responses.
type token struct {
	Name      string    `json:"name"`
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	Scopes    []string  `json:"scopes"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
	Expires   time.Time `json:"expires"`
	LastUsed  time.Time `json:"last_used"`
}

// expiry returns when the token expires, as text.
func (t *token) expiry(to *screen) string {
	switch {
	case t.Expires.IsZero():
		return "never"
	case !t.Expires.After(to.now):
		return "expired"
	}
	return to.until(t.Expires)
}

// use returns the time since the last use, which the server knows to the hour.
func (t *token) use(to *screen) string {
	if !t.LastUsed.IsZero() && to.now.Sub(t.LastUsed) < time.Hour {
		return "<1h"
	}
	return to.age(t.LastUsed)
}

// TokenCreateCmd makes a token.
type TokenCreateCmd struct {
	Name    string   `arg:"" help:"Name of the token, for lists and the audit log."`
	Scope   []string `required:"" sep:"none" placeholder:"SCOPE" help:"What the token may do: read, deploy:PATTERN such as deploy:/team-a/*, or admin. Repeatable."`
	Expires string   `placeholder:"TIME" default:"90d" help:"When the token expires, such as 12h, 90d, or never (${default})."`

	clientFlags
}

// Run is called by kong. The token alone is on the standard output, for scripts.
func (c *TokenCreateCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	query := url.Values{"name": {c.Name}, "scope": c.Scope, "expires": {c.Expires}}
	a, err := client.Post(ctx, "/services/tokens/create", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, made *token) error {
		fmt.Fprintf(s.Err, "created %s, which may %s; it expires: %s\nkeep the token: it is not shown again\n",
			stdio.Printable(made.Name), stdio.Printable(strings.Join(made.Scopes, ", ")), made.expiry(to))
		if _, err := fmt.Fprintln(to, stdio.Printable(made.Token)); err != nil {
			return fmt.Errorf("%w; the token was made and is lost: revoke %s", err, stdio.Printable(made.Name))
		}
		return nil
	})
}

// TokenListCmd lists the tokens.
type TokenListCmd struct {
	clientFlags
}

// tokenList is the response to a request for all tokens.
type tokenList struct {
	Tokens []token `json:"tokens"`
}

// Run is called by kong.
func (c *TokenListCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/tokens", nil)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, all *tokenList) error {
		if len(all.Tokens) == 0 {
			_, err := fmt.Fprintln(to, "no tokens; make one with \"vespo token create NAME --scope SCOPE\"")
			return err
		}
		t := newTable(to)
		t.cut = []int{2, 0}
		t.row("NAME", "ID", "SCOPES", "EXPIRES", "LAST USED", "CREATED BY")
		for _, tok := range all.Tokens {
			t.row(tok.Name, tok.ID, strings.Join(tok.Scopes, ", "), tok.expiry(to), tok.use(to), tok.CreatedBy)
		}
		return t.flush()
	})
}

// TokenRevokeCmd revokes a token.
type TokenRevokeCmd struct {
	Name string `arg:"" help:"Name of the token."`

	clientFlags
}

// Run is called by kong.
func (c *TokenRevokeCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	a, err := client.Post(ctx, "/services/tokens/revoke", url.Values{"name": {c.Name}})
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, gone *token) error {
		_, err := fmt.Fprintf(to, "revoked %s\n", stdio.Printable(gone.Name))
		return err
	})
}

// WhoamiCmd shows who sends requests.
type WhoamiCmd struct {
	clientFlags
}

// Run is called by kong.
func (c *WhoamiCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/whoami", nil)
	if err != nil {
		return err
	}
	type caller struct {
		Kind string `json:"kind"`
		token
	}
	return show(&c.clientFlags, s, a, func(to *screen, who *caller) error {
		text := map[string]string{
			"local":       "a program on the server's machine, without a token",
			"admin-token": "the holder of the server's --admin-token",
			"token":       "the holder of the token " + who.Name + ", which expires: " + who.expiry(to),
		}[who.Kind]
		_, err := fmt.Fprintf(to, "%s\nscopes: %s\n", stdio.Printable(text), stdio.Printable(strings.Join(who.Scopes, ", ")))
		return err
	})
}
