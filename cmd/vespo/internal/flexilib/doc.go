// Package flexilib reads the configuration of FlexiLib, proxy.ini, and says the same as a configuration file of Vespo's: in FlexiLib the
// first line that matches wins, here the most specific one, so that some lines need company and some are never reached.
package flexilib
