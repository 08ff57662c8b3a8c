// Package account derives an identity key from a BIP-39 phrase at the path that
// Status uses for its chat key (EIP-1581, m/43'/60'/1581'/0'/0).
//
// It owns the derivation only. The phrase is never kept; who needs it again has
// to write it down. The package does not know identities or the store.
package account
