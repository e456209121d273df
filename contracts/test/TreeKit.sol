// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev A plain tree for tests, written from the definition and sharing no code with src/EpochTree.sol.
library TreeKit {
    struct Entry {
        uint8 kind;
        address account;
        uint128 amount;
    }

    struct Batch {
        bytes plan;
        bytes32[] hashes;
        bytes leaves;
    }

    function hashOf(Entry memory e) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encodePacked(e.kind, e.account, e.amount))));
    }

    function levels(Entry[] memory entries, uint256 depth) internal pure returns (bytes32[][] memory all) {
        all = new bytes32[][](depth + 1);
        all[0] = new bytes32[](2 ** depth);
        for (uint256 i = 0; i < entries.length; ++i) {
            all[0][i] = hashOf(entries[i]);
        }
        for (uint256 l = 1; l <= depth; ++l) {
            all[l] = new bytes32[](all[l - 1].length / 2);
            for (uint256 i = 0; i < all[l].length; ++i) {
                all[l][i] = keccak256(abi.encodePacked(all[l - 1][2 * i], all[l - 1][2 * i + 1]));
            }
        }
    }

    function root(Entry[] memory entries, uint256 depth) internal pure returns (bytes32) {
        return levels(entries, depth)[depth][0];
    }

    function proof(Entry[] memory entries, uint256 depth, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[][] memory all = levels(entries, depth);
        path = new bytes32[](depth);
        for (uint256 l = 0; l < depth; ++l) {
            path[l] = all[l][(index >> l) ^ 1];
        }
    }

    /// @param due which positions go in as full leaves (payee entries only)
    function batch(Entry[] memory entries, uint256 depth, bool[] memory due) internal pure returns (Batch memory b) {
        b.plan = hex"10"; // amounts of 16 bytes
        _walk(b, entries, due, levels(entries, depth), depth, 0);
    }

    function _walk(
        Batch memory b,
        Entry[] memory entries,
        bool[] memory due,
        bytes32[][] memory all,
        uint256 level,
        uint256 index
    ) private pure {
        bool any = false;
        for (uint256 i = index << level; i < (index + 1) << level && i < due.length; ++i) {
            if (due[i]) any = true;
        }
        if (!any) {
            b.plan = bytes.concat(b.plan, bytes1(uint8(level)));
            bytes32[] memory longer = new bytes32[](b.hashes.length + 1);
            for (uint256 i = 0; i < b.hashes.length; ++i) {
                longer[i] = b.hashes[i];
            }
            longer[b.hashes.length] = all[level][index];
            b.hashes = longer;
            return;
        }
        if (level == 0) {
            b.leaves = bytes.concat(b.leaves, abi.encodePacked(entries[index].account, entries[index].amount));
            uint256 last = b.plan.length; // the first byte is no step
            if (last > 1 && uint8(b.plan[last - 1]) >= 128 && uint8(b.plan[last - 1]) < 255) {
                b.plan[last - 1] = bytes1(uint8(b.plan[last - 1]) + 1);
            } else {
                b.plan = bytes.concat(b.plan, bytes1(uint8(128)));
            }
            return;
        }
        _walk(b, entries, due, all, level - 1, 2 * index);
        _walk(b, entries, due, all, level - 1, 2 * index + 1);
    }
}
