// What the server offers to the components that it runs.
import { getEnvironment } from 'wasi:cli/environment@0.2.10';

// settings returns the settings of the service by their names.
export function settings() { return Object.fromEntries(getEnvironment()); }

// store returns a key-value store of the service.
export function store() { throw new Error('key-value stores are not supported yet'); }
