// Package keep has the form of records of the application's own, which lie beside those
// of the engine in its store: Engine.Keep, Kept and KeptValue of the root package.
//
// It owns their names and bounds. It does not know what they mean, nor the engine.
package keep
