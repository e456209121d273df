// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {InferenceEscrow} from "../src/InferenceEscrow.sol";
import {OpenToken} from "../src/OpenToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {ISettlement} from "../src/interfaces/ISettlement.sol";
import {TreeKit} from "./TreeKit.sol";

/// @dev A settlement with a funded client and a book of leaves that tests extend; `settle` runs a whole epoch.
abstract contract SettlementFixture is Test {
    uint256 internal constant DEPTH = 5;
    uint32 internal constant WINDOW = 1 hours;
    uint128 internal constant MAX_PER_EPOCH = 1_000 ether;
    uint96 internal constant OUTFLOW_CAP = 1_500 ether;
    uint32 internal constant OUTFLOW_PERIOD = 1 days;
    uint32 internal constant MAX_PAUSE = 3 days;
    uint32 internal constant COOLDOWN = 7 days;
    uint64 internal constant WITHDRAWAL_DELAY = 2 days;
    uint64 internal constant EXIT_DELAY = 10 days;
    bytes32 internal constant RECEIPTS = keccak256("receipts");
    bytes32 internal constant DATA = keccak256("data");

    address internal admin = makeAddr("admin");
    address internal settler = makeAddr("settler");
    address internal watcher = makeAddr("watcher");
    address internal guardian = makeAddr("guardian");
    address internal treasurer = makeAddr("treasurer");
    address internal client = makeAddr("client");
    address internal alice;
    uint256 internal aliceKey;
    address internal bob = makeAddr("bob");
    address internal carol = makeAddr("carol");

    IERC20 internal token;
    Settlement internal settlement;
    InferenceEscrow internal escrow;
    TreeKit.Entry[] internal book;

    function setUp() public virtual {
        (alice, aliceKey) = makeAddrAndKey("alice");
        vm.warp(1_700_000_000);
        _build(IERC20(address(new OpenToken(address(this), 1_000_000 ether))), false);
        _deposit(client, 10_000 ether);
    }

    function _limits() internal pure returns (ISettlement.Limits memory) {
        return ISettlement.Limits(WINDOW, MAX_PER_EPOCH, OUTFLOW_CAP);
    }

    function _setup(IERC20 token_, bool native) internal view returns (Settlement.Setup memory) {
        return Settlement.Setup(
            token_,
            native,
            admin,
            settler,
            watcher,
            guardian,
            treasurer,
            _limits(),
            OUTFLOW_PERIOD,
            MAX_PAUSE,
            COOLDOWN,
            WITHDRAWAL_DELAY,
            EXIT_DELAY
        );
    }

    function _build(IERC20 token_, bool native) internal {
        token = token_;
        settlement = new Settlement(_setup(token_, native));
        escrow = settlement.escrow();
    }

    function _deposit(address to, uint256 amount) internal {
        token.approve(address(escrow), amount);
        escrow.deposit(to, amount);
    }

    /// @dev Sets a leaf of the book; new (kind, account) pairs are appended. @return index its position
    function _set(uint8 kind, address account, uint128 amount) internal returns (uint256 index) {
        for (index = 0; index < book.length; ++index) {
            if (book[index].kind == kind && book[index].account == account) {
                book[index].amount = amount;
                return index;
            }
        }
        book.push(TreeKit.Entry(kind, account, amount));
    }

    function _earned(address account, uint128 amount) internal returns (uint256) {
        return _set(1, account, amount);
    }

    function _root() internal view returns (bytes32) {
        return TreeKit.root(book, DEPTH);
    }

    function _proof(uint256 index) internal view returns (bytes32[] memory) {
        return TreeKit.proof(book, DEPTH, index);
    }

    function _total() internal view returns (uint128 sum) {
        for (uint256 i = 0; i < book.length; ++i) {
            if (book[i].kind == 1) sum += book[i].amount;
        }
    }

    function _nextEpoch() internal view returns (uint64) {
        (uint64 epoch,,,,) = settlement.state();
        return epoch + 1;
    }

    /// @dev Proposes the book as the next epoch.
    function _propose(uint128 debits) internal returns (uint64 epoch, bytes32 root) {
        (epoch, root) = (_nextEpoch(), _root());
        bytes32 previous = settlement.currentRoot();
        uint128 total = _total();
        vm.prank(settler);
        settlement.propose(epoch, previous, root, total, RECEIPTS, DATA, debits);
    }

    function _settle(uint128 debits) internal {
        (uint64 epoch, bytes32 root) = _propose(debits);
        skip(WINDOW);
        settlement.activate(epoch, root);
    }

    /// @dev Debits exactly what the book adds.
    function _settle() internal {
        _settle(_total() - settlement.total());
    }

    function _batchAll() internal view returns (TreeKit.Batch memory) {
        bool[] memory due = new bool[](book.length);
        for (uint256 i = 0; i < due.length; ++i) {
            due[i] = book[i].kind == 1;
        }
        return TreeKit.batch(book, DEPTH, due);
    }

    function _push(TreeKit.Batch memory b) internal returns (uint256 paid, uint256 skipped) {
        return settlement.push(b.plan, b.hashes, b.leaves);
    }
}
