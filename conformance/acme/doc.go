// Package acme tests certificates by ACME against Pebble, the test authority of Let's Encrypt.
package acme
