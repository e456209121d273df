// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Epoch roots and payouts.
/// @notice One Merkle root of cumulative amounts an epoch, whatever the number of payees. A root is proposed by the settler's
/// key, can be vetoed during a window, and is then activated by anyone, funded from the escrow in the same transaction.
/// Claims are cumulative and measured against the current root only. What a stolen settler key can take: a false root becomes
/// active only if neither watcher nor guardian vetoes it within one window; then at most `maxPerEpoch` leaves the escrow, and
/// at most `outflowCap` leaves this contract in one outflow period.
interface ISettlement {
    /// @param root Merkle root of cumulative balances (see EpochTree)
    /// @param receiptsRoot Merkle root over the epoch's receipts
    /// @param dataHash digest of epoch-inputs.json, from which anyone recomputes the epoch
    struct Epoch {
        bytes32 root;
        bytes32 receiptsRoot;
        bytes32 dataHash;
    }

    /// @param windowSeconds from propose to activate
    /// @param maxPerEpoch highest rise of the total and highest debit of one epoch
    /// @param outflowCap highest payout within one outflow period; 2^96 - 1 = no cap. A lower cap holds at once, a higher one
    /// from the next period
    struct Limits {
        uint32 windowSeconds;
        uint128 maxPerEpoch;
        uint96 outflowCap;
    }

    event Proposed(
        uint64 indexed epoch,
        bytes32 indexed root,
        bytes32 prevRoot,
        uint256 total,
        uint256 debits,
        bytes32 receiptsRoot,
        bytes32 dataHash,
        uint256 activatesAt
    );
    event Activated(uint64 indexed epoch, bytes32 indexed root, uint256 total, uint256 debits);
    event Vetoed(uint64 indexed epoch, bytes32 indexed root, address indexed by);
    event Claimed(address indexed account, address indexed recipient, uint256 amount, uint256 cumulative);
    event PushSkipped(address indexed account, address indexed recipient, uint256 amount);
    event Redirected(address indexed account, address indexed recipient);
    event Paused(address indexed by, uint256 until);
    event Unpaused(address indexed by);
    event SettlerKeySet(address indexed key, uint64 from, uint64 until);
    event LimitsSet(Limits limits);
    event SurplusSwept(address indexed to, uint256 amount);

    error NotSettler(address caller);
    error NotVetoer(address caller);
    error ZeroAddress();
    error TokenWithoutCode(address token);
    error LimitsInvalid();
    error KeyRangeInvalid();
    error IsPaused(uint256 until);
    error NotPaused();
    error PauseCoolingDown(uint256 until);
    error PendingExists(uint64 epoch);
    error NothingPending();
    error WrongEpoch(uint64 expected, uint64 given);
    error WrongPreviousRoot(bytes32 expected, bytes32 given);
    error WrongRoot(bytes32 expected, bytes32 given);
    error ZeroRoot();
    error TotalLowered(uint256 current, uint256 given);
    error EpochTooLarge(uint256 amount, uint256 maximum);
    error Underfunded(uint256 total, uint256 funded);
    error WindowOpen(uint256 activatesAt);
    error FundingShort(uint256 needed, uint256 received);
    error InvalidProof();
    error NothingToClaim(address account, uint256 claimed);
    error RootCapExceeded(uint256 claimed, uint256 total);
    error OutflowCapExceeded(uint256 amount, uint256 left);
    error TooLittleGas();
    error NotNative();
    error OnlyToken();
    error NativeTransferFailed(address to);
    error RecipientInvalid(address recipient);
    error SignatureExpired(uint256 deadline);
    error SignatureInvalid(address account);
    error NoSurplus();

    /// @notice Puts the root of the next epoch up for its window. Only a settler key within its validity range.
    /// @param epoch must be the last active epoch + 1 (the first is 1), so a resent transaction can only revert
    /// @param prevRoot root of the last active epoch; zero for the first epoch
    /// @param root new root, not zero
    /// @param total cumulative amount of all payee leaves
    /// @param debits what the epoch takes from the escrow; all debits so far must cover `total`
    function propose(
        uint64 epoch,
        bytes32 prevRoot,
        bytes32 root,
        uint128 total,
        bytes32 receiptsRoot,
        bytes32 dataHash,
        uint128 debits
    ) external;

    /// @notice Makes the pending root current and draws its debits from the escrow. Anyone, once the window is over.
    function activate(uint64 epoch, bytes32 root) external;

    /// @notice Drops the pending root; the epoch can be proposed again. Watcher or guardian, until it is active.
    function veto(uint64 epoch, bytes32 root) external;

    /// @notice Pays `account` what its leaf holds above what it has been paid, to it or to its redirect. Anyone.
    /// @param index position of the leaf
    /// @param proof siblings, lowest level first
    function claim(address account, uint128 cumulative, uint256 index, bytes32[] calldata proof)
        external
        returns (uint256 paid);

    /// @notice Like `claim`, for the sender, to any recipient, optionally as native coin.
    function claimTo(address to, bool unwrap, uint128 cumulative, uint256 index, bytes32[] calldata proof)
        external
        returns (uint256 paid);

    /// @notice Pays many accounts under one multiproof (format: EpochTree.batchRoot). Anyone; never unwraps. Accounts already
    /// paid are passed over; an account whose transfer fails is skipped and keeps its claim.
    /// @param leaves address | cumulative amount a payee, in the order of positions
    function push(bytes calldata plan, bytes32[] calldata hashes, bytes calldata leaves)
        external
        returns (uint256 paid, uint256 skipped);

    /// @notice Sends all later payouts of the sender to `recipient`; zero address ends it.
    function redirect(address recipient) external;

    /// @notice `redirect` by the account's EIP-712 signature (ERC-1271 for contracts).
    function redirectBySignature(address account, address recipient, uint256 deadline, bytes calldata signature) external;

    /// @notice Stops propose, activate and payouts for the fixed maximum time; again only after the cooldown. Guardian.
    /// Withdrawals from the escrow go on.
    function pause() external;

    /// @notice Ends a pause early. Guardian or admin. The cooldown runs from here.
    function unpause() external;

    /// @notice Gives a settler key its validity range (timestamps, `until` exclusive; past ranges stay readable). Admin.
    function setSettlerKey(address key, uint64 from, uint64 until) external;

    /// @notice Admin. Takes effect for later proposals; a pending one keeps its window.
    function setLimits(Limits calldata limits) external;

    /// @notice Moves out tokens that no epoch funded. Treasurer.
    function sweepSurplus(address to) external returns (uint256 amount);

    function currentRoot() external view returns (bytes32 root);

    /// @return root the active root
    /// @return proposedAt when the active root was proposed
    function current() external view returns (bytes32 root, uint256 proposedAt);

    /// @return amount what `account` was paid so far
    function claimedOf(address account) external view returns (uint256 amount);

    /// @return amounts what each of the accounts was paid so far; the settler plans pushes from it
    function claimedOfEach(address[] calldata list) external view returns (uint256[] memory amounts);
}
