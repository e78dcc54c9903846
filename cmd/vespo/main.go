package main

import (
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/program"
)

func main() { os.Exit(program.Main(nil)) }
