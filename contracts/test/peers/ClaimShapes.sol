// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @dev Claims in the shape of two known distributors, written anew for gas comparisons (test/bench/settlement.ts): the same
/// storage, checks, events and interface, none of their roles and settings.
contract ClaimShapes {
    using SafeERC20 for IERC20;

    struct MerklClaim {
        uint208 amount;
        uint48 timestamp;
        bytes32 merkleRoot;
    }

    bytes32 public root;
    mapping(address account => mapping(address reward => uint256)) public claimed;
    mapping(address account => mapping(address reward => MerklClaim)) public merklClaimed;
    mapping(address user => mapping(address operator => uint256)) public operators;

    event Claimed(address indexed account, address indexed reward, uint256 amount);

    error RootNotSet();
    error InvalidProofOrExpired();
    error ClaimableTooLow();
    error InvalidLengths();

    function setRoot(bytes32 root_) external {
        root = root_;
    }

    /// @dev Morpho's Universal Rewards Distributor: one account, cumulative, sorted tree.
    function claim(address account, address reward, uint256 claimable, bytes32[] calldata proof)
        external
        returns (uint256 amount)
    {
        if (root == 0) revert RootNotSet();
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(account, reward, claimable))));
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) revert InvalidProofOrExpired();
        uint256 before = claimed[account][reward];
        if (claimable <= before) revert ClaimableTooLow();
        amount = claimable - before;
        claimed[account][reward] = claimable;
        IERC20(reward).safeTransfer(account, amount);
        emit Claimed(account, reward, amount);
    }

    /// @dev Merkl's Distributor: lists of users, tokens, amounts and proofs; remembers time and root of each claim.
    function claim(
        address[] calldata users,
        address[] calldata tokens,
        uint256[] calldata amounts,
        bytes32[][] calldata proofs
    ) external {
        uint256 count = users.length;
        if (count == 0 || count != tokens.length || count != amounts.length || count != proofs.length) {
            revert InvalidLengths();
        }
        for (uint256 i = 0; i < count; ++i) {
            bytes32 leaf = keccak256(abi.encode(users[i], tokens[i], amounts[i]));
            if (!MerkleProof.verifyCalldata(proofs[i], root, leaf)) revert InvalidProofOrExpired();
            uint256 due = amounts[i] - merklClaimed[users[i]][tokens[i]].amount;
            merklClaimed[users[i]][tokens[i]] = MerklClaim(uint208(amounts[i]), uint48(block.timestamp), root);
            emit Claimed(users[i], tokens[i], due);
            if (due > 0) IERC20(tokens[i]).safeTransfer(users[i], due);
        }
    }
}
