import canonicalize from 'canonicalize'
import type { DatanetVersion } from '#schema/datanets'
import { bytes32, hex, keccak256, MerkleRoot, ZERO } from './merkle-tree.ts'

export const NO_ROOT = hex(ZERO)

/**
 * Root of a Datanet version: keccak256(previousRoot || partsRoot), where partsRoot is the positional tree over the roots
 * of the parts in their order, and a part's root the tree over its rows' leaves. A row is proved by its path in its
 * part, the part's path, and the previous root; every version commits to all before it.
 */
export const versionRoot = (previousRoot: string, partRoots: string[]): string => {
  const tree = new MerkleRoot()
  for (const root of partRoots) tree.add(bytes32(root))
  return hex(keccak256(bytes32(previousRoot), tree.root()))
}

export const manifestBytes = (version: DatanetVersion): string => `${canonicalize(version) as string}\n`
