package main

import (
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/program"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
)

func main() { os.Exit(program.Main(server.Openers{})) }
