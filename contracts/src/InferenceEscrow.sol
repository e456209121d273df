// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EpochTree} from "./EpochTree.sol";
import {IInferenceEscrow} from "./interfaces/IInferenceEscrow.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {IWrappedNative} from "./interfaces/IWrappedNative.sol";

/// @title Pooled prepaid balances (specified in IInferenceEscrow).
contract InferenceEscrow is IInferenceEscrow, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    struct Client {
        uint128 deposited;
        uint128 withdrawn;
        uint128 spent;
        uint128 requested;
        uint64 requestedAt;
    }

    IERC20 public immutable token;
    ISettlement public immutable settlement;
    /// @notice Whether `token` wraps the native coin.
    bool public immutable native;
    uint64 public immutable withdrawalDelay;
    uint64 public immutable exitDelay;

    mapping(address client => Client) public clients;
    /// @inheritdoc IInferenceEscrow
    uint256 public held;

    /// @dev Created by Settlement's constructor, so that the two know each other without a binding step.
    constructor(IERC20 token_, bool native_, uint64 withdrawalDelay_, uint64 exitDelay_) {
        if (exitDelay_ < withdrawalDelay_) revert DelaysInvalid();
        token = token_;
        native = native_;
        settlement = ISettlement(msg.sender);
        withdrawalDelay = withdrawalDelay_;
        exitDelay = exitDelay_;
    }

    /// @dev The native coin comes only from unwrapping; deposits name their client.
    receive() external payable {
        if (msg.sender != address(token)) revert OnlyToken();
    }

    /// @inheritdoc IInferenceEscrow
    function deposit(address client, uint256 amount) external nonReentrant {
        _pull(client, amount);
    }

    /// @inheritdoc IInferenceEscrow
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external nonReentrant {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _pull(msg.sender, amount);
    }

    /// @inheritdoc IInferenceEscrow
    function depositNative(address client) external payable nonReentrant {
        if (!native) revert NotNative();
        IWrappedNative(address(token)).deposit{value: msg.value}();
        _credit(client, msg.value);
    }

    /// @inheritdoc IInferenceEscrow
    function fund(uint256 amount) external {
        if (msg.sender != address(settlement)) revert OnlySettlement();
        uint256 pool = held;
        if (amount > pool) revert EscrowShort(amount, pool);
        held = pool - amount;
        emit Funded(amount, pool - amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IInferenceEscrow
    function requestWithdrawal(uint256 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        uint256 available = availableOf(msg.sender);
        if (amount > available) revert RequestTooLarge(amount, available);
        Client storage client = clients[msg.sender];
        client.requested = amount.toUint128();
        client.requestedAt = uint64(block.timestamp);
        emit WithdrawalRequested(
            msg.sender, amount, block.timestamp + withdrawalDelay, block.timestamp + exitDelay
        );
    }

    /// @inheritdoc IInferenceEscrow
    function cancelWithdrawal() external nonReentrant {
        _takeRequest();
        emit WithdrawalCancelled(msg.sender);
    }

    /// @inheritdoc IInferenceEscrow
    function proveSpent(address client, uint128 spent, uint256 index, bytes32[] calldata proof) external nonReentrant {
        _proveSpent(settlement.currentRoot(), client, spent, index, proof);
    }

    /// @inheritdoc IInferenceEscrow
    function withdraw(address to, bool unwrap, uint128 spent, uint256 index, bytes32[] calldata proof)
        external
        nonReentrant
    {
        (uint128 requested, uint256 requestedAt) = _takeRequest();
        (bytes32 root, uint256 proposedAt) = settlement.current();
        if (block.timestamp < requestedAt + withdrawalDelay) revert NotReady(requestedAt + withdrawalDelay);
        if (proposedAt < requestedAt && block.timestamp < requestedAt + exitDelay) {
            revert NoEpochSinceRequest(requestedAt + exitDelay);
        }
        _proveSpent(root, msg.sender, spent, index, proof);
        _pay(to, unwrap, requested);
    }

    /// @inheritdoc IInferenceEscrow
    function withdrawUnspent(address to, bool unwrap) external nonReentrant {
        (uint128 requested, uint256 requestedAt) = _takeRequest();
        if (block.timestamp < requestedAt + exitDelay) revert NotReady(requestedAt + exitDelay);
        uint256 spent = clients[msg.sender].spent;
        if (spent != 0) revert SpendingKnown(spent);
        _pay(to, unwrap, requested);
    }

    /// @inheritdoc IInferenceEscrow
    function availableOf(address account) public view returns (uint256) {
        Client storage client = clients[account];
        uint256 gone = uint256(client.withdrawn) + client.spent;
        return client.deposited > gone ? client.deposited - gone : 0;
    }

    function _pull(address client, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        _credit(client, token.balanceOf(address(this)) - before);
    }

    function _credit(address client, uint256 amount) private {
        if (client == address(0)) revert ZeroClient();
        if (amount == 0) revert ZeroAmount();
        uint128 cumulative = (clients[client].deposited + amount).toUint128();
        clients[client].deposited = cumulative;
        held += amount;
        emit Deposited(client, msg.sender, amount, cumulative);
    }

    function _takeRequest() private returns (uint128 requested, uint256 requestedAt) {
        Client storage client = clients[msg.sender];
        requested = client.requested;
        requestedAt = client.requestedAt;
        if (requested == 0) revert NoRequest();
        client.requested = 0;
        client.requestedAt = 0;
    }

    function _proveSpent(bytes32 root, address client, uint128 spent, uint256 index, bytes32[] calldata proof) private {
        if (EpochTree.rootOf(EpochTree.leafHash(EpochTree.SPENT, client, spent), index, proof) != root) {
            revert InvalidProof();
        }
        if (spent > clients[client].spent) {
            clients[client].spent = spent;
            emit SpentProven(client, spent);
        }
    }

    function _pay(address to, bool unwrap, uint256 requested) private {
        if (to == address(0)) revert ZeroRecipient();
        uint256 available = availableOf(msg.sender);
        uint256 amount = requested < available ? requested : available;
        if (amount == 0) revert NothingToWithdraw();
        uint256 pool = held;
        if (amount > pool) revert EscrowShort(amount, pool);
        held = pool - amount;
        clients[msg.sender].withdrawn += uint128(amount);
        emit Withdrawn(msg.sender, to, amount);
        if (!unwrap) {
            token.safeTransfer(to, amount);
            return;
        }
        if (!native) revert NotNative();
        IWrappedNative(address(token)).withdraw(amount);
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert NativeTransferFailed(to);
    }
}
