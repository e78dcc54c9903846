package flags

import (
	"strings"

	"github.com/alecthomas/kong"
)

// New is kong.New with variables, in half of its time. Kong itself searches each variable and each help text for variables, with a
// regular expression and for each flag of each command.
func New(grammar any, vars kong.Vars, options ...kong.Option) (*kong.Kong, error) {
	t := &texts{
		vars:  replacer(vars),
		plain: map[*string]string{},
	}
	k, err := kong.New(grammar, append(options, kong.PostBuild(t.take))...)
	t.restore()
	if err != nil {
		return k, err
	}
	return k, vars.Apply(k) // for later texts, such as the version
}

// replacer replaces variables by their values, in which kong finds no others.
func replacer(vars kong.Vars) *strings.Replacer {
	var pairs []string
	for name, value := range vars {
		pairs = append(pairs, "${"+name+"}", strings.ReplaceAll(value, "$", "$$"))
	}
	return strings.NewReplacer(pairs...)
}

// texts are the texts of a model with variables.
type texts struct {
	vars  *strings.Replacer
	plain map[*string]string // help without variables, which is kept from kong
}

// take replaces variables, and takes out the help texts that are left without any.
func (t *texts) take(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		switch node := node.(type) {
		case *kong.Application:
			t.help(&node.Help)
		case *kong.Node:
			t.help(&node.Help)
		case *kong.Flag:
			node.PlaceHolder = t.vars.Replace(node.PlaceHolder)
		case *kong.Value:
			node.Default, node.Enum = t.vars.Replace(node.Default), t.vars.Replace(node.Enum)
			t.help(&node.Help)
		}
		return next(nil)
	})
}

func (t *texts) help(text *string) {
	if *text = t.vars.Replace(*text); !strings.Contains(*text, "$") {
		t.plain[text], *text = *text, ""
	}
}

func (t *texts) restore() {
	for at, text := range t.plain {
		*at = text
	}
}
