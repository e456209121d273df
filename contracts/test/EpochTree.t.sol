// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {EpochTree} from "../src/EpochTree.sol";
import {TreeKit} from "./TreeKit.sol";

contract EpochTreeTest is Test {
    // External shells: libraries take calldata, and expectRevert needs a call.
    function rootOf(bytes32 leaf, uint256 index, bytes32[] calldata proof) external pure returns (bytes32) {
        return EpochTree.rootOf(leaf, index, proof);
    }

    function batchRoot(bytes calldata plan, bytes32[] calldata hashes, bytes calldata leaves)
        external
        pure
        returns (bytes32 root)
    {
        (root,) = EpochTree.batchRoot(plan, hashes, leaves);
    }

    function test_GoldenVectors() external view {
        string memory json = vm.readFile("../test/vectors/merkle.json");
        uint256 trees = 0;
        for (; vm.keyExistsJson(json, string.concat(".trees[", vm.toString(trees), "]")); ++trees) {
            string memory at = string.concat(".trees[", vm.toString(trees), "]");
            bytes32 root = vm.parseJsonBytes32(json, string.concat(at, ".root"));
            uint256 leaves = 0;
            for (; vm.keyExistsJson(json, string.concat(at, ".leaves[", vm.toString(leaves), "]")); ++leaves) {
                string memory leafAt = string.concat(at, ".leaves[", vm.toString(leaves), "]");
                bytes32 hash = EpochTree.leafHash(
                    uint8(vm.parseJsonUint(json, string.concat(leafAt, ".kind"))),
                    vm.parseJsonAddress(json, string.concat(leafAt, ".address")),
                    uint128(vm.parseJsonUint(json, string.concat(leafAt, ".amount")))
                );
                string memory n = string.concat("[", vm.toString(leaves), "]");
                assertEq(hash, vm.parseJsonBytes32(json, string.concat(at, ".leafHashes", n)), "leaf hash");
                bytes32[] memory proof = vm.parseJsonBytes32Array(json, string.concat(at, ".proofs", n));
                assertEq(this.rootOf(hash, leaves, proof), root, "root from proof");
            }
            assertGt(leaves, 0);
        }
        assertEq(trees, 6);
    }

    function testFuzz_ProofAtEveryPosition(uint256 seed, uint8 size) external view {
        uint256 depth = size % 6;
        TreeKit.Entry[] memory entries = _entries(seed, 2 ** depth);
        uint256 index = seed % entries.length;
        bytes32[] memory proof = TreeKit.proof(entries, depth, index);
        bytes32 leaf = EpochTree.leafHash(entries[index].kind, entries[index].account, entries[index].amount);
        assertEq(this.rootOf(leaf, index, proof), TreeKit.root(entries, depth));
    }

    function testFuzz_ForgedProofFails(uint256 seed, uint256 flip, uint128 other) external view {
        TreeKit.Entry[] memory entries = _entries(seed, 32);
        bytes32 root = TreeKit.root(entries, 5);
        uint256 index = seed % 32;
        bytes32[] memory proof = TreeKit.proof(entries, 5, index);
        TreeKit.Entry memory e = entries[index];
        vm.assume(other != e.amount);
        assertNotEq(this.rootOf(EpochTree.leafHash(e.kind, e.account, other), index, proof), root, "amount");
        assertNotEq(this.rootOf(EpochTree.leafHash(e.kind ^ 3, e.account, e.amount), index, proof), root, "kind");
        bytes32 leaf = EpochTree.leafHash(e.kind, e.account, e.amount);
        assertNotEq(this.rootOf(leaf, index ^ (1 + flip % 31), proof), root, "index");
        proof[flip % 5] ^= bytes32(1 << (flip % 256));
        assertNotEq(this.rootOf(leaf, index, proof), root, "sibling");
    }

    function test_RevertWhen_ProofLongerThan32() external {
        this.rootOf(0, 0, new bytes32[](32));
        vm.expectRevert(abi.encodeWithSelector(EpochTree.ProofTooLong.selector, 33));
        this.rootOf(0, 0, new bytes32[](33));
    }

    function test_RevertWhen_IndexOutsideTree() external {
        vm.expectRevert(abi.encodeWithSelector(EpochTree.IndexOutOfRange.selector, 8, 3));
        this.rootOf(0, 8, new bytes32[](3));
    }

    function testFuzz_BatchOfAnySubset(uint256 seed, uint32 mask, uint8 size) external view {
        uint256 depth = size % 6;
        TreeKit.Entry[] memory entries = _entries(seed, 2 ** depth);
        bool[] memory due = new bool[](entries.length);
        for (uint256 i = 0; i < due.length; ++i) {
            due[i] = entries[i].kind == 1 && (mask >> i) & 1 == 1;
        }
        TreeKit.Batch memory b = TreeKit.batch(entries, depth, due);
        assertEq(this.batchRoot(b.plan, b.hashes, b.leaves), TreeKit.root(entries, depth));
    }

    function testFuzz_BatchWithChangedLeafFails(uint256 seed, uint32 mask, uint256 at) external view {
        TreeKit.Entry[] memory entries = _entries(seed, 32);
        bool[] memory due = new bool[](32);
        for (uint256 i = 0; i < 32; ++i) {
            due[i] = entries[i].kind == 1 && (mask >> i) & 1 == 1;
        }
        TreeKit.Batch memory b = TreeKit.batch(entries, 5, due);
        vm.assume(b.leaves.length > 0);
        b.leaves[at % b.leaves.length] ^= bytes1(uint8(1 << (at % 8)));
        assertNotEq(this.batchRoot(b.plan, b.hashes, b.leaves), TreeKit.root(entries, 5));
    }

    function test_BatchLongerThanOneRunByte() external view {
        TreeKit.Entry[] memory entries = new TreeKit.Entry[](256);
        bool[] memory due = new bool[](256);
        for (uint256 i = 0; i < 256; ++i) {
            entries[i] = TreeKit.Entry(1, address(uint160(i + 1)), uint128(i));
            due[i] = true;
        }
        TreeKit.Batch memory b = TreeKit.batch(entries, 8, due);
        assertEq(b.plan, hex"10ffff");
        assertEq(this.batchRoot(b.plan, b.hashes, b.leaves), TreeKit.root(entries, 8));
    }

    function test_RevertWhen_BatchMalformed() external {
        bytes memory leaf = new bytes(36);
        bytes32[] memory one = new bytes32[](1);
        bytes32[] memory two = new bytes32[](2);
        _expectMalformed("", new bytes32[](0), ""); // nothing
        _expectMalformed(hex"10", new bytes32[](0), ""); // no step
        _expectMalformed(hex"0080", new bytes32[](0), new bytes(20)); // amounts of no byte
        _expectMalformed(hex"1180", new bytes32[](0), new bytes(37)); // amounts of 17 bytes
        _expectMalformed(hex"0f80", new bytes32[](0), leaf); // another width than the leaves have
        _expectMalformed(hex"1080", one, leaf); // a hash unused
        _expectMalformed(hex"108000", new bytes32[](0), leaf); // a hash missing
        _expectMalformed(hex"1080", new bytes32[](0), new bytes(72)); // a leaf unused
        _expectMalformed(hex"1081", new bytes32[](0), leaf); // a leaf missing
        _expectMalformed(hex"108001", one, leaf); // a subtree of two at an odd position
        _expectMalformed(hex"10800180", one, new bytes(72)); // the same, in a shape that would end in one node
        _expectMalformed(hex"10800001", one, leaf); // too few hashes, complete shape
        _expectMalformed(hex"10800000", two, leaf); // three leaves: not a power of two
        _expectMalformed(hex"1021", one, ""); // deeper than 32
        _expectMalformed(hex"102020", two, ""); // wider than 2^32
        assertEq(this.batchRoot(hex"1020", one, ""), 0);
    }

    function _expectMalformed(bytes memory plan, bytes32[] memory hashes, bytes memory leaves) private {
        vm.expectRevert(EpochTree.MalformedBatch.selector);
        this.batchRoot(plan, hashes, leaves);
    }

    function _entries(uint256 seed, uint256 count) private pure returns (TreeKit.Entry[] memory entries) {
        entries = new TreeKit.Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            entries[i] = TreeKit.Entry(uint8(1 + (r & 1)), address(uint160(r >> 8)), uint128(r >> 100));
        }
    }
}
