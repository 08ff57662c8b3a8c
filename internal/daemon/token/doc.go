// Package token keeps the tokens by which callers of the daemon show who they are:
// one file each, in a private folder beside the store.
//
// It owns their form, their files and their check. It does not know requests or
// identities: an identity is the text of its public key.
package token
