// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {EpochTree} from "./EpochTree.sol";
import {InferenceEscrow} from "./InferenceEscrow.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {IWrappedNative} from "./interfaces/IWrappedNative.sol";

/// @title Epoch roots and payouts (specified in ISettlement).
contract Settlement is ISettlement, AccessControl, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @param native whether `token` wraps the native coin
    /// @param admin a timelock
    /// @param outflowPeriod seconds in which at most `limits.outflowCap` is paid out
    /// @param withdrawalDelay escrow: longer than an epoch, its grace, the window and finality together
    /// @param exitDelay escrow: after this long without a newer epoch the last root is final
    struct Setup {
        IERC20 token;
        bool native;
        address admin;
        address settler;
        address watcher;
        address guardian;
        address treasurer;
        Limits limits;
        uint32 outflowPeriod;
        uint32 maxPause;
        uint32 pauseCooldown;
        uint64 withdrawalDelay;
        uint64 exitDelay;
    }

    struct State {
        uint64 epoch;
        uint40 proposedAt;
        uint40 pendingProposedAt;
        uint40 activatesAt;
        uint40 pausedUntil;
    }

    struct Account {
        uint128 claimed;
        bool redirected;
        uint64 nonce;
    }

    struct KeyRange {
        uint64 from;
        uint64 until;
    }

    bytes32 public constant WATCHER_ROLE = keccak256("WATCHER_ROLE");
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    bytes32 public constant TREASURER_ROLE = keccak256("TREASURER_ROLE");
    bytes32 public constant REDIRECT_TYPEHASH =
        keccak256("Redirect(address account,address recipient,uint256 nonce,uint256 deadline)");
    /// @dev Gas given to one transfer of a push; a recipient's token hook cannot use up the batch.
    uint256 private constant TRANSFER_GAS = 100_000;

    IERC20 public immutable token;
    bool public immutable native;
    InferenceEscrow public immutable escrow;
    uint32 public immutable outflowPeriod;
    uint32 public immutable maxPause;
    uint32 public immutable pauseCooldown;

    State public state;
    mapping(uint64 epoch => Epoch) public epochs;
    uint128 public pendingTotal;
    uint128 public pendingDebits;
    /// @notice Cumulative amount of all payee leaves of the current root.
    uint128 public total;
    /// @notice Cumulative debits drawn from the escrow; never below `total`.
    uint128 public funded;
    /// @notice Cumulative payouts; never above `total`.
    uint128 public claimedTotal;
    /// @notice What may still be paid out in the outflow period `outflowPeriodIndex`; the maximum means without limit.
    uint96 public outflowLeft;
    uint32 public outflowPeriodIndex;
    Limits public limits;
    mapping(address account => Account) public accounts;
    mapping(address account => address) public recipientOf;
    mapping(address key => KeyRange) public settlerKeys;

    constructor(Setup memory setup) EIP712("OpenLedger Settlement", "1") {
        if (address(setup.token).code.length == 0) revert TokenWithoutCode(address(setup.token));
        if (
            setup.admin == address(0) || setup.watcher == address(0) || setup.guardian == address(0)
                || setup.treasurer == address(0)
        ) revert ZeroAddress();
        token = setup.token;
        native = setup.native;
        if (setup.outflowPeriod == 0) revert LimitsInvalid();
        outflowPeriod = setup.outflowPeriod;
        maxPause = setup.maxPause;
        pauseCooldown = setup.pauseCooldown;
        escrow = new InferenceEscrow(setup.token, setup.native, setup.withdrawalDelay, setup.exitDelay);
        _grantRole(DEFAULT_ADMIN_ROLE, setup.admin);
        _grantRole(WATCHER_ROLE, setup.watcher);
        _grantRole(GUARDIAN_ROLE, setup.guardian);
        _grantRole(TREASURER_ROLE, setup.treasurer);
        _setSettlerKey(setup.settler, uint64(block.timestamp), type(uint64).max);
        _setLimits(setup.limits);
    }

    /// @dev The native coin comes only from unwrapping.
    receive() external payable {
        if (msg.sender != address(token)) revert OnlyToken();
    }

    /// @inheritdoc ISettlement
    function propose(
        uint64 epoch,
        bytes32 prevRoot,
        bytes32 root,
        uint128 total_,
        bytes32 receiptsRoot,
        bytes32 dataHash,
        uint128 debits
    ) external {
        KeyRange memory range = settlerKeys[msg.sender];
        if (block.timestamp < range.from || block.timestamp >= range.until) revert NotSettler(msg.sender);
        State memory s = _runningState();
        if (s.activatesAt != 0) revert PendingExists(s.epoch + 1);
        if (epoch != s.epoch + 1) revert WrongEpoch(s.epoch + 1, epoch);
        if (prevRoot != epochs[s.epoch].root) revert WrongPreviousRoot(epochs[s.epoch].root, prevRoot);
        if (root == 0 || receiptsRoot == 0 || dataHash == 0) revert ZeroRoot();
        _checkAmounts(total_, debits);

        s.pendingProposedAt = uint40(block.timestamp);
        s.activatesAt = uint40(block.timestamp + limits.windowSeconds);
        state = s;
        epochs[epoch] = Epoch(root, receiptsRoot, dataHash);
        pendingTotal = total_;
        pendingDebits = debits;
        emit Proposed(epoch, root, prevRoot, total_, debits, receiptsRoot, dataHash, s.activatesAt);
    }

    /// @inheritdoc ISettlement
    function activate(uint64 epoch, bytes32 root) external nonReentrant {
        State memory s = _runningState();
        _checkPending(s, epoch, root);
        if (block.timestamp < s.activatesAt) revert WindowOpen(s.activatesAt);
        uint128 debits = pendingDebits;
        s.epoch = epoch;
        s.proposedAt = s.pendingProposedAt;
        s.pendingProposedAt = 0;
        s.activatesAt = 0;
        state = s;
        total = pendingTotal;
        funded += debits;
        emit Activated(epoch, root, total, debits);
        if (debits == 0) return;
        uint256 before = token.balanceOf(address(this));
        escrow.fund(debits);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received < debits) revert FundingShort(debits, received);
    }

    /// @inheritdoc ISettlement
    function veto(uint64 epoch, bytes32 root) external {
        if (!hasRole(WATCHER_ROLE, msg.sender) && !hasRole(GUARDIAN_ROLE, msg.sender)) revert NotVetoer(msg.sender);
        State memory s = state;
        _checkPending(s, epoch, root);
        s.pendingProposedAt = 0;
        s.activatesAt = 0;
        state = s;
        delete epochs[epoch];
        emit Vetoed(epoch, root, msg.sender);
    }

    /// @inheritdoc ISettlement
    function claim(address account, uint128 cumulative, uint256 index, bytes32[] calldata proof)
        external
        nonReentrant
        returns (uint256 paid)
    {
        address to;
        (to, paid) = _claim(account, address(0), cumulative, index, proof);
        token.safeTransfer(to, paid);
    }

    /// @inheritdoc ISettlement
    function claimTo(address to, bool unwrap, uint128 cumulative, uint256 index, bytes32[] calldata proof)
        external
        nonReentrant
        returns (uint256 paid)
    {
        _checkRecipient(to);
        (, paid) = _claim(msg.sender, to, cumulative, index, proof);
        if (!unwrap) {
            token.safeTransfer(to, paid);
            return paid;
        }
        if (!native) revert NotNative();
        IWrappedNative(address(token)).withdraw(paid);
        (bool sent,) = to.call{value: paid}("");
        if (!sent) revert NativeTransferFailed(to);
    }

    /// @inheritdoc ISettlement
    function push(bytes calldata plan, bytes32[] calldata hashes, bytes calldata leaves)
        external
        nonReentrant
        returns (uint256 paid, uint256 skipped)
    {
        (bytes32 root, uint256 width) = EpochTree.batchRoot(plan, hashes, leaves);
        if (leaves.length == 0) revert EpochTree.MalformedBatch();
        if (root != _payingRoot()) revert InvalidProof();
        for (uint256 at = 0; at < leaves.length; at += 20 + width) {
            (address account, uint128 cumulative) = EpochTree.batchLeaf(leaves, at, width);
            (uint256 amount, bool failed) = _tryPay(account, cumulative);
            paid += amount;
            if (failed) ++skipped;
        }
        _count(paid);
    }

    /// @inheritdoc ISettlement
    function redirect(address recipient) external {
        _redirect(msg.sender, recipient);
    }

    /// @inheritdoc ISettlement
    function redirectBySignature(address account, address recipient, uint256 deadline, bytes calldata signature) external {
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        uint64 nonce = accounts[account].nonce++;
        bytes32 digest =
            _hashTypedDataV4(keccak256(abi.encode(REDIRECT_TYPEHASH, account, recipient, nonce, deadline)));
        if (!SignatureChecker.isValidSignatureNow(account, digest, signature)) revert SignatureInvalid(account);
        _redirect(account, recipient);
    }

    /// @inheritdoc ISettlement
    function pause() external onlyRole(GUARDIAN_ROLE) {
        uint256 last = state.pausedUntil;
        if (last != 0 && block.timestamp < last + pauseCooldown) revert PauseCoolingDown(last + pauseCooldown);
        state.pausedUntil = uint40(block.timestamp + maxPause);
        emit Paused(msg.sender, block.timestamp + maxPause);
    }

    /// @inheritdoc ISettlement
    function unpause() external {
        if (!hasRole(DEFAULT_ADMIN_ROLE, msg.sender)) _checkRole(GUARDIAN_ROLE);
        if (block.timestamp >= state.pausedUntil) revert NotPaused();
        state.pausedUntil = uint40(block.timestamp);
        emit Unpaused(msg.sender);
    }

    /// @inheritdoc ISettlement
    function setSettlerKey(address key, uint64 from, uint64 until) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setSettlerKey(key, from, until);
    }

    /// @inheritdoc ISettlement
    function setLimits(Limits calldata limits_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setLimits(limits_);
    }

    /// @inheritdoc ISettlement
    function sweepSurplus(address to) external nonReentrant onlyRole(TREASURER_ROLE) returns (uint256 amount) {
        _checkRecipient(to);
        uint256 owed = funded - claimedTotal;
        uint256 balance = token.balanceOf(address(this));
        if (balance <= owed) revert NoSurplus();
        amount = balance - owed;
        emit SurplusSwept(to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc ISettlement
    function currentRoot() external view returns (bytes32) {
        return epochs[state.epoch].root;
    }

    /// @inheritdoc ISettlement
    function current() external view returns (bytes32 root, uint256 proposedAt) {
        return (epochs[state.epoch].root, state.proposedAt);
    }

    /// @inheritdoc ISettlement
    function claimedOf(address account) external view returns (uint256) {
        return accounts[account].claimed;
    }

    /// @inheritdoc ISettlement
    function claimedOfEach(address[] calldata list) external view returns (uint256[] memory amounts) {
        amounts = new uint256[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            amounts[i] = accounts[list[i]].claimed;
        }
    }

    /// @dev The one door of single claims: pause, proof, monotonicity, caps. `override_` zero = the account or its redirect.
    function _claim(address account, address override_, uint128 cumulative, uint256 index, bytes32[] calldata proof)
        private
        returns (address to, uint256 amount)
    {
        bytes32 leaf = EpochTree.leafHash(EpochTree.EARNED, account, cumulative);
        if (EpochTree.rootOf(leaf, index, proof) != _payingRoot()) revert InvalidProof();
        Account storage a = accounts[account];
        uint128 before = a.claimed;
        if (cumulative <= before) revert NothingToClaim(account, before);
        amount = cumulative - before;
        to = override_ != address(0) ? override_ : a.redirected ? recipientOf[account] : account;
        a.claimed = cumulative;
        _count(amount);
        emit Claimed(account, to, amount, cumulative);
    }

    /// @dev One payee of a push: never reverts because of the payee.
    function _tryPay(address account, uint128 cumulative) private returns (uint256 amount, bool failed) {
        Account storage a = accounts[account];
        uint128 before = a.claimed;
        if (cumulative <= before) return (0, false);
        amount = cumulative - before;
        address to = a.redirected ? recipientOf[account] : account;
        a.claimed = cumulative;
        if (_tryTransfer(to, amount)) {
            emit Claimed(account, to, amount, cumulative);
            return (amount, false);
        }
        a.claimed = before;
        emit PushSkipped(account, to, amount);
        return (0, true);
    }

    /// @dev Transfer with bounded gas; reads at most one word of return data, so a hostile token or hook cannot bomb memory.
    function _tryTransfer(address to, uint256 amount) private returns (bool ok) {
        // EIP-150 hands on 63/64: with less left the transfer could fail for lack of gas and not for the payee's sake.
        if (gasleft() < TRANSFER_GAS + TRANSFER_GAS / 32 + 20_000) revert TooLittleGas();
        address token_ = address(token);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, shl(224, 0xa9059cbb)) // transfer(address,uint256)
            mstore(add(free, 0x04), to)
            mstore(add(free, 0x24), amount)
            mstore(0x00, 0)
            let called := call(TRANSFER_GAS, token_, 0, free, 0x44, 0x00, 0x20)
            // A reply shorter than a word leaves the zero in the last byte, so it cannot read as true.
            ok := and(called, or(iszero(returndatasize()), eq(mload(0x00), 1)))
        }
    }

    /// @dev Per-root cap (payouts never exceed the total that the root claims) and outflow cap.
    function _count(uint256 amount) private {
        if (amount == 0) return;
        // One slot holds claimedTotal, outflowLeft and the period: the limits are read once a period.
        (uint256 sum, uint96 left, uint32 last) = (claimedTotal, outflowLeft, outflowPeriodIndex);
        sum += amount;
        if (sum > total) revert RootCapExceeded(sum, total);
        uint32 index = uint32(block.timestamp / outflowPeriod);
        if (index != last) left = limits.outflowCap;
        if (left != type(uint96).max) {
            if (amount > left) revert OutflowCapExceeded(amount, left);
            left -= uint96(amount);
        }
        (claimedTotal, outflowLeft, outflowPeriodIndex) = (uint128(sum), left, index);
    }

    function _runningState() private view returns (State memory s) {
        s = state;
        if (block.timestamp < s.pausedUntil) revert IsPaused(s.pausedUntil);
    }

    /// @dev The root that claims and pushes are measured against; reverts in a pause.
    function _payingRoot() private view returns (bytes32) {
        (uint64 epoch, uint40 until) = (state.epoch, state.pausedUntil);
        if (block.timestamp < until) revert IsPaused(until);
        return epochs[epoch].root;
    }

    function _checkPending(State memory s, uint64 epoch, bytes32 root) private view {
        if (s.activatesAt == 0) revert NothingPending();
        if (epoch != s.epoch + 1) revert WrongEpoch(s.epoch + 1, epoch);
        if (root != epochs[epoch].root) revert WrongRoot(epochs[epoch].root, root);
    }

    function _checkAmounts(uint128 total_, uint128 debits) private view {
        uint256 last = total;
        uint256 maximum = limits.maxPerEpoch;
        if (total_ < last) revert TotalLowered(last, total_);
        if (total_ - last > maximum) revert EpochTooLarge(total_ - last, maximum);
        if (debits > maximum) revert EpochTooLarge(debits, maximum);
        if (total_ > uint256(funded) + debits) revert Underfunded(total_, uint256(funded) + debits);
        uint256 held = escrow.held();
        if (debits > held) revert FundingShort(debits, held);
    }

    function _checkRecipient(address recipient) private view {
        if (
            recipient == address(0) || recipient == address(this) || recipient == address(escrow)
                || recipient == address(token)
        ) revert RecipientInvalid(recipient);
    }

    function _redirect(address account, address recipient) private {
        if (recipient != address(0)) _checkRecipient(recipient);
        accounts[account].redirected = recipient != address(0);
        recipientOf[account] = recipient;
        emit Redirected(account, recipient);
    }

    function _setSettlerKey(address key, uint64 from, uint64 until) private {
        if (key == address(0)) revert ZeroAddress();
        if (from >= until) revert KeyRangeInvalid();
        settlerKeys[key] = KeyRange(from, until);
        emit SettlerKeySet(key, from, until);
    }

    function _setLimits(Limits memory limits_) private {
        if (limits_.maxPerEpoch == 0 || limits_.outflowCap == 0) revert LimitsInvalid();
        limits = limits_;
        if (limits_.outflowCap < outflowLeft) outflowLeft = limits_.outflowCap;
        emit LimitsSet(limits_);
    }
}
