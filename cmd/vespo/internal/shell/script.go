package shell

import (
	"embed"
	"fmt"
	"io"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

//go:embed scripts
var scripts embed.FS

// CompletionCmd prints a script for a shell.
type CompletionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

// Help is called by kong.
func (c *CompletionCmd) Help() string {
	return `To have it in every new shell:

  bash   echo 'eval "$(vespo completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(vespo completion zsh)"' >> ~/.zshrc    # after compinit
  fish   vespo completion fish > ~/.config/fish/completions/vespo.fish`
}

// Run is called by kong.
func (c *CompletionCmd) Run(s stdio.Streams) error { return write(s.Out, c.Shell) }

func write(w io.Writer, shell string) error {
	text, err := scripts.ReadFile("scripts/vespo." + shell)
	if err != nil {
		return fmt.Errorf("there is no script for %s: %w", shell, err)
	}
	_, err = w.Write(text)
	return err
}
