// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The Merkle tree of an epoch: one leaf an address, positional, append-only.
/// @notice Packed leaf = kind (1) | address (20) | cumulative amount, uint128 big-endian (16). Leaf hash =
/// keccak256(keccak256(packed)), node = keccak256(left | right), empty leaf = 0. A leaf hash has a 32-byte preimage and a
/// node a 64-byte one, so no node can pass for a leaf and proofs of any length are safe. Golden vectors:
/// test/vectors/merkle.json.
library EpochTree {
    /// @dev Kind of a leaf that holds what an address has earned so far.
    uint8 internal constant EARNED = 0x01;
    /// @dev Kind of a leaf that holds what a client has spent so far.
    uint8 internal constant SPENT = 0x02;
    uint256 internal constant MAX_DEPTH = 32;

    error ProofTooLong(uint256 length);
    error IndexOutOfRange(uint256 index, uint256 depth);
    error MalformedBatch();

    function leafHash(uint8 kind, address account, uint128 amount) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore8(0x00, kind)
            mstore(0x01, shl(96, account))
            mstore(0x15, shl(128, amount))
            mstore(0x00, keccak256(0x00, 37))
            hash := keccak256(0x00, 0x20)
        }
    }

    /// @return root the root that `leaf` at position `index` has under the siblings `proof` (lowest level first).
    function rootOf(bytes32 leaf, uint256 index, bytes32[] calldata proof) internal pure returns (bytes32 root) {
        uint256 depth = proof.length;
        if (depth > MAX_DEPTH) revert ProofTooLong(depth);
        if (index >> depth != 0) revert IndexOutOfRange(index, depth);
        assembly ("memory-safe") {
            root := leaf
            let end := add(proof.offset, shl(5, depth))
            for { let at := proof.offset } lt(at, end) { at := add(at, 0x20) } {
                let side := shl(5, and(index, 1))
                mstore(side, root)
                mstore(xor(side, 0x20), calldataload(at))
                root := keccak256(0x00, 0x40)
                index := shr(1, index)
            }
        }
    }

    /// @notice The root of a tree of which some payee leaves are given in full and the rest by subtree hashes.
    /// @dev `plan` starts with the bytes of an amount in `leaves` (1 to 16: as many as the largest one needs), and then walks the
    /// tree from left to right, one byte a step: a value v < 128 takes the next of `hashes` as a whole subtree of 2^v leaves; a
    /// value v >= 128 takes the next v - 127 of `leaves` (address | amount, big-endian) as neighbouring payee leaves. The walk
    /// is a binary counter: two finished neighbours of one size become their parent. It must end on a power of two with all
    /// input used.
    /// @return root of the tree
    /// @return width bytes of an amount
    function batchRoot(bytes calldata plan, bytes32[] calldata hashes, bytes calldata leaves)
        internal
        pure
        returns (bytes32 root, uint256 width)
    {
        if (plan.length == 0) revert MalformedBatch();
        width = uint8(plan[0]);
        if (width == 0 || width > 16) revert MalformedBatch();
        bool fits = true;
        assembly ("memory-safe") {
            // A counter below 2^33 has at most 33 ones, so the stack needs 33 words; it lies above the free pointer.
            let stack := mload(0x40)
            let top := stack
            let position := 0
            let hashAt := hashes.offset
            let leafAt := leaves.offset
            let end := add(plan.offset, plan.length)
            for { let step := add(plan.offset, 1) } lt(step, end) { step := add(step, 1) } {
                let op := byte(0, calldataload(step))
                let level := 0
                let count := 1
                if gt(op, 127) { count := sub(op, 127) }
                if lt(op, 128) {
                    level := op
                    if or(gt(level, 32), iszero(iszero(and(position, sub(shl(level, 1), 1))))) {
                        fits := 0
                        break
                    }
                }
                for {} count { count := sub(count, 1) } {
                    let node
                    switch lt(op, 128)
                    case 1 {
                        node := calldataload(hashAt)
                        hashAt := add(hashAt, 0x20)
                    }
                    default {
                        mstore8(0x00, 0x01)
                        calldatacopy(0x01, leafAt, 20)
                        mstore(0x15, shl(128, shr(sub(256, shl(3, width)), calldataload(add(leafAt, 20)))))
                        mstore(0x00, keccak256(0x00, 37))
                        node := keccak256(0x00, 0x20)
                        leafAt := add(leafAt, add(width, 20))
                    }
                    let index := shr(level, position)
                    for {} and(index, 1) { index := shr(1, index) } {
                        top := sub(top, 0x20)
                        mstore(0x00, mload(top))
                        mstore(0x20, node)
                        node := keccak256(0x00, 0x40)
                    }
                    mstore(top, node)
                    top := add(top, 0x20)
                    position := add(position, shl(level, 1))
                }
                if gt(position, 0x100000000) {
                    fits := 0
                    break
                }
            }
            if iszero(
                and(
                    and(eq(hashAt, add(hashes.offset, shl(5, hashes.length))), eq(leafAt, add(leaves.offset, leaves.length))),
                    eq(sub(top, stack), 0x20)
                )
            ) { fits := 0 }
            root := mload(stack)
        }
        if (!fits) revert MalformedBatch();
    }

    /// @notice The payee at byte `at` of a batch's `leaves`, which `batchRoot` has measured.
    function batchLeaf(bytes calldata leaves, uint256 at, uint256 width)
        internal
        pure
        returns (address account, uint128 amount)
    {
        assembly ("memory-safe") {
            let from := add(leaves.offset, at)
            account := shr(96, calldataload(from))
            amount := shr(sub(256, shl(3, width)), calldataload(add(from, 20)))
        }
    }
}
